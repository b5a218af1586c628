package runflags

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// security compiles namespaces, capabilities, profiles and devices.
func (f *Flags) security(r *Request, from Sources) error {
	h := r.HostConfig
	h.Privileged, h.GroupAdd = f.Privileged, f.GroupAdd
	h.CapAdd, h.CapDrop, h.DeviceCgroupRules = f.CapAdd, f.CapDrop, f.DeviceCgroupRules
	h.PidMode, h.IpcMode, h.UTSMode = container.PidMode(f.PID), container.IpcMode(f.IPC), container.UTSMode(f.UTS)
	h.UsernsMode, h.CgroupnsMode = container.UsernsMode(f.Userns), container.CgroupnsMode(f.Cgroupns)
	for _, check := range []struct {
		valid      bool
		flag, name string
	}{
		{h.PidMode.Valid(), "pid", "PID"}, {h.UTSMode.Valid(), "uts", "UTS"}, {h.UsernsMode.Valid(), "userns", "USER"}, {h.CgroupnsMode.Valid(), "cgroupns", "CGROUP"},
	} {
		if !check.valid {
			return fmt.Errorf("--%s: invalid %s mode", check.flag, check.name)
		}
	}
	var err error
	if h.SecurityOpt, h.MaskedPaths, h.ReadonlyPaths, err = securityOptions(f.SecurityOpt, from); err != nil {
		return err
	}
	for _, text := range f.Devices {
		device, err := parseDevice(text)
		if err != nil {
			return err
		}
		h.Devices = append(h.Devices, device)
	}
	return nil
}

// securityOptions reads a seccomp profile's file here, because the daemon may be elsewhere, and turns systempaths=unconfined
// into empty lists of masked and read-only paths.
func securityOptions(words []string, from Sources) (options, masked, readonly []string, err error) {
	for _, word := range words {
		if word == "systempaths=unconfined" {
			masked, readonly = []string{}, []string{}
			continue
		}
		name, value, ok := cutEither(word)
		if !ok && word != "no-new-privileges" {
			return nil, nil, nil, fmt.Errorf("invalid --security-opt: %q", word)
		}
		if name == "seccomp" && value != "unconfined" && value != "builtin" {
			text, err := from.ReadFile(value)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("opening seccomp profile (%s) failed: %w", value, err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, text); err != nil {
				return nil, nil, nil, fmt.Errorf("compacting json for seccomp profile (%s) failed: %w", value, err)
			}
			word = "seccomp=" + compact.String()
		}
		options = append(options, word)
	}
	return options, masked, readonly, nil
}

// cutEither splits at the first = or, as old forms do, at the first colon.
func cutEither(word string) (string, string, bool) {
	if name, value, ok := strings.Cut(word, "="); ok {
		return name, value, true
	}
	return strings.Cut(word, ":")
}

// parseDevice reads HOST[:CONTAINER][:rwm].
func parseDevice(text string) (container.DeviceMapping, error) {
	parts := strings.Split(text, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	switch {
	case len(parts) > 3 || parts[0] == "":
		return d, fmt.Errorf("bad format for path: %s", text)
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && isPermissions(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	if !isPermissions(d.CgroupPermissions) {
		return d, fmt.Errorf("invalid device mode: %s", d.CgroupPermissions)
	}
	return d, nil
}

func isPermissions(text string) bool {
	return text != "" && strings.Trim(text, "rwm") == "" && strings.Count(text, "r") < 2 && strings.Count(text, "w") < 2 && strings.Count(text, "m") < 2
}

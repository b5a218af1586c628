package ociconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// defaultCapabilities are the fourteen that Docker gives (mask a80425fb in /proc/self/status).
func defaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
		"CAP_AUDIT_WRITE",
	}
}

// AllCapabilities are those of capabilities(7), in the order of their numbers.
func AllCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
		"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
		"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
		"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
		"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
		"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
	}
}

// capabilities gives root the chosen set as bounding, permitted and effective; another user gets the bounding
// set alone, which is what execve(2) would leave.
func (k *compiler) capabilities() error {
	hc := k.c.HostConfig
	chosen, err := ChooseCapabilities(hc.CapAdd, hc.CapDrop, hc.Privileged)
	if err != nil {
		return err
	}
	if k.h.Bounding != nil {
		var lost []string
		chosen = slices.DeleteFunc(chosen, func(c string) bool {
			missing := !slices.Contains(k.h.Bounding, c)
			if missing {
				lost = append(lost, c)
			}
			return missing
		})
		if len(lost) > 0 {
			k.warn("not given, because the engine itself lacks them: %s", strings.Join(lost, ", "))
		}
	}
	caps := &specs.LinuxCapabilities{Bounding: chosen}
	if k.c.User.UID == 0 {
		caps.Permitted, caps.Effective = chosen, chosen
	}
	k.spec.Process.Capabilities = caps
	return nil
}

// ChooseCapabilities applies --cap-add and --cap-drop to the default set. Names may lack "CAP_"; "ALL" is all.
func ChooseCapabilities(add, drop []string, privileged bool) ([]string, error) {
	if privileged {
		return AllCapabilities(), nil
	}
	plus, allPlus, err := capabilityNames(add)
	if err != nil {
		return nil, fmt.Errorf("invalid CapAdd: %w", err)
	}
	minus, allMinus, err := capabilityNames(drop)
	if err != nil {
		return nil, fmt.Errorf("invalid CapDrop: %w", err)
	}
	start := defaultCapabilities()
	switch {
	case allPlus:
		start = AllCapabilities()
	case allMinus:
		start = nil
	}
	var out []string
	for _, c := range append(start, plus...) {
		dropped := slices.Contains(minus, c) && !slices.Contains(plus, c)
		if !dropped && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out, nil
}

func capabilityNames(given []string) (names []string, all bool, err error) {
	known := AllCapabilities()
	for _, g := range given {
		name := strings.ToUpper(g)
		if name == "ALL" || name == "CAP_ALL" {
			all = true
			continue
		}
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if !slices.Contains(known, name) {
			return nil, false, fmt.Errorf("unknown capability: %q", g)
		}
		names = append(names, name)
	}
	return names, all, nil
}

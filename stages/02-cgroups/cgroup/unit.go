package cgroup

import (
	"fmt"
	"path"
	"strings"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// unit is the systemd unit behind a group.
type unit struct {
	text  string // as it was asked for
	name  string // "docker-ID.scope", or "pods.slice"
	slice string // where it is: "system.slice"; "-.slice" is the root

	extra dbus.Properties // for its creation
}

// parseUnit reads runc's form of cgroupsPath for systemd, SLICE:PREFIX:NAME: the scope PREFIX-NAME.scope in SLICE.
// A NAME that ends in .slice is itself a slice. An empty SLICE is system.slice, or user.slice for an ordinary user.
func parseUnit(text string, root bool) (*unit, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[2] == "" {
		return nil, fmt.Errorf("cgroup %q: systemd's form is SLICE:PREFIX:NAME", text)
	}
	u := &unit{text: text, slice: parts[0], name: parts[2]}
	switch {
	case u.slice != "":
	case root:
		u.slice = "system.slice"
	default:
		u.slice = "user.slice"
	}
	if !strings.HasSuffix(u.name, ".slice") {
		if parts[1] != "" {
			u.name = parts[1] + "-" + u.name
		}
		u.name += ".scope"
	}
	if _, err := slicePath(u.slice); err != nil {
		return nil, fmt.Errorf("cgroup %q: %w", text, err)
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	if i := strings.IndexFunc(u.name, func(r rune) bool { return !strings.ContainsRune(allowed, r) }); i >= 0 || len(u.name) > 255 {
		return nil, fmt.Errorf("cgroup %q: %q is no name of a unit (systemd.unit(5))", text, u.name)
	}
	return u, nil
}

// isSlice: a slice holds units, a scope processes.
func (u *unit) isSlice() bool { return strings.HasSuffix(u.name, ".slice") }

// path is the unit's group, counted from systemd's own root.
func (u *unit) path() (string, error) {
	if u.isSlice() {
		return slicePath(u.name)
	}
	dir, err := slicePath(u.slice)
	return path.Join(dir, u.name), err
}

// slicePath expands a slice's name: "a-b.slice" lies in "a.slice" (systemd.slice(5)), so its group is
// "/a.slice/a-b.slice".
func slicePath(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if !ok || strings.ContainsAny(slice, "/\x00\n") {
		return "", fmt.Errorf("%q is no slice", slice)
	}
	if name == "-" {
		return "/", nil
	}
	dir, prefix := "/", ""
	for part := range strings.SplitSeq(name, "-") {
		if part == "" {
			return "", fmt.Errorf("%q is no slice: an empty part between dashes", slice)
		}
		prefix += part
		dir = path.Join(dir, prefix+".slice")
		prefix += "-"
	}
	return dir, nil
}

package cgroup

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// Mode is the way a machine mounts its control groups.
type Mode int

const (
	// V1: every controller has a hierarchy of its own (or shares one with a few others).
	V1 Mode = iota
	// Hybrid: controllers on v1 hierarchies, and a v2 tree beside them that may offer the rest.
	Hybrid
	// V2: one tree for everything.
	V2
)

func (m Mode) String() string {
	return [...]string{"v1", "hybrid", "v2"}[m]
}

// Layout is which hierarchies are mounted where. It is immutable and may be shared by goroutines; it holds
// one open descriptor (close-on-exec) for each hierarchy, released when the Layout is garbage.
type Layout struct {
	mode  Mode
	trees []*tree // v2: exactly one; hybrid: the v2 tree is the last
	proc  string  // "/proc", below the injected root in tests

	driver Driver
}

// tree is one mounted hierarchy.
type tree struct {
	mount       string   // mount point
	root        string   // the group that is seen at the mount point: "/" but for mounts inside containers
	version     int      // 1 or 2
	controllers []string // as the kernel names them; a named v1 hierarchy has "name=systemd"
	dir         *os.File // O_PATH on mount; nil until opened
	spare       *tree    // another mount of the same hierarchy, for when this one is hidden
}

// Mode tells v1, hybrid and v2 apart.
func (l *Layout) Mode() Mode { return l.mode }

// Controllers lists the controllers that this machine offers, by the kernel's names, sorted.
func (l *Layout) Controllers() []string {
	var all []string
	for _, t := range l.trees {
		for _, c := range t.controllers {
			if !strings.HasPrefix(c, "name=") {
				all = append(all, c)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Has reports whether something by the name of a controller can be governed here. v1's names are understood
// on v2: blkio is io there, cpuacct is always on, freezer is a core file, devices is a BPF program.
func (l *Layout) Has(controller string) bool { return l.find(controller) != nil }

// find returns the hierarchy that serves a controller, or nil. A v1 hierarchy wins: the kernel binds a
// controller to one hierarchy only, so it can never serve both.
func (l *Layout) find(controller string) *tree {
	for _, t := range l.trees {
		if t.serves(controller) {
			return t
		}
	}
	return nil
}

func (t *tree) serves(controller string) bool {
	if t.version == 1 {
		return slices.Contains(t.controllers, controller)
	}
	switch controller {
	case "devices", "freezer", "cpuacct":
		return true
	case "blkio":
		controller = "io"
	}
	return slices.Contains(t.controllers, controller)
}

// Group names the group at an absolute path such as "/slipway/ID", the same in every hierarchy and counted
// from the mount points. It makes nothing and asks the kernel nothing; ".." is refused, not resolved.
func (l *Layout) Group(name string) (*Group, error) {
	if l.driver == Systemd && !strings.HasPrefix(name, "/") {
		return l.unitGroup(name)
	}
	if !strings.HasPrefix(name, "/") {
		return nil, fmt.Errorf("cgroup %q: the path must be absolute", name)
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return nil, fmt.Errorf("cgroup %q: .. is refused", name)
	}
	if strings.ContainsAny(name, "\x00\n") {
		return nil, fmt.Errorf("cgroup %q: a name may not hold NUL or newline", name)
	}
	g := &Group{layout: l, path: path.Clean(name)}
	for _, t := range l.trees {
		g.places = append(g.places, place{tree: t, rel: relative(g.path)})
	}
	return g, nil
}

// unitGroup names the group of a systemd unit.
func (l *Layout) unitGroup(name string) (*Group, error) {
	uid := dbus.Self()
	if uid != 0 && l.mode != V2 {
		return nil, fmt.Errorf("cgroup %q: systemd lets an ordinary user have groups on cgroup v2 only, and this machine has %s", name, l.mode)
	}
	u, err := parseUnit(name, uid == 0)
	if err != nil {
		return nil, err
	}
	below, err := u.path()
	if err != nil {
		return nil, err
	}
	return l.Unit(name, path.Join(l.systemdRoot(uid), below))
}

// Unit names the group of a systemd unit whose path is known already: it was created before, perhaps by a caller in
// another group.
func (l *Layout) Unit(name, path string) (*Group, error) {
	u, err := parseUnit(name, dbus.Self() == 0)
	if err != nil {
		return nil, err
	}
	g, err := l.Use(Cgroupfs).Group(path)
	if err == nil {
		g.layout, g.unit, g.keeper = l.Use(Systemd), u, new(keeper)
	}
	return g, err
}

// relative turns "/a/b" into "a/b" and "/" into ".", for the *at system calls.
func relative(abs string) string {
	if abs == "/" {
		return "."
	}
	return abs[1:]
}

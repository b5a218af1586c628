package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Group is one control group: a path, present in every hierarchy of its Layout. It is immutable and holds no
// descriptor; whether the kernel has such a group is [Group.Exists].
type Group struct {
	layout *Layout
	path   string
	places []place // one for each hierarchy, in the Layout's order

	unit   *unit // of systemd; nil where the group is just a directory
	keeper *keeper
}

// Path is the group's absolute path, counted from the mount points. For a group found by [Layout.Of] whose
// v1 hierarchies disagree it is the deepest of them.
func (g *Group) Path() string { return g.path }

// Layout is where the group lives.
func (g *Group) Layout() *Layout { return g.layout }

// Exists reports whether any hierarchy has the group's directory.
func (g *Group) Exists() bool {
	for _, p := range g.places {
		if p.exists() {
			return true
		}
	}
	return false
}

// Of finds the group that a process is in, from /proc/PID/cgroup. On v1 it may be at another path in each
// hierarchy; a path that this mount does not show (the process is in an outer cgroup namespace) is an error.
func (l *Layout) Of(pid int) (*Group, error) {
	f, err := os.Open(filepath.Join(l.proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := readMemberships(f)
	if err != nil {
		return nil, err
	}
	g := &Group{layout: l, path: "/"}
	for _, t := range l.trees {
		for _, m := range lines {
			if !m.in(t) {
				continue
			}
			abs, err := t.visible(m.path)
			if err != nil {
				return nil, fmt.Errorf("process %d: %w", pid, err)
			}
			g.places = append(g.places, place{tree: t, rel: relative(abs)})
			if len(abs) > len(g.path) {
				g.path = abs
			}
		}
	}
	return g, nil
}

// visible turns a path of /proc/PID/cgroup into one counted from the mount point.
func (t *tree) visible(abs string) (string, error) {
	if strings.HasPrefix(abs, "/..") {
		return "", fmt.Errorf("its group %s lies outside this cgroup namespace", abs)
	}
	if t.root == "/" || strings.HasPrefix(t.root, "/..") {
		return path.Clean(abs), nil
	}
	rest, ok := strings.CutPrefix(abs, t.root)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", fmt.Errorf("its group %s is not below %s, which is all that %s shows: %w", abs, t.root, t.mount, fs.ErrNotExist)
	}
	return path.Clean("/" + rest), nil
}

// at returns the group's place in the hierarchy that serves a controller.
func (g *Group) at(controller string) (place, bool) {
	for _, p := range g.places {
		if p.tree.serves(controller) {
			return p, true
		}
	}
	return place{}, false
}

// unified returns the group's place in the v2 tree.
func (g *Group) unified() (place, bool) {
	for _, p := range g.places {
		if p.tree.version == 2 {
			return p, true
		}
	}
	return place{}, false
}

// members returns the place whose list of processes speaks for the group: the v2 tree's on v2; on v1 one
// that every engine joins. Groups made by others may lack some hierarchies.
func (g *Group) members() (place, error) {
	if g.layout.mode == V2 {
		return g.places[0], nil
	}
	for _, c := range []string{"freezer", "pids", "memory", "devices", "cpu", "cpuacct"} {
		if p, ok := g.at(c); ok && p.exists() {
			return p, nil
		}
	}
	for _, p := range g.places {
		if p.exists() {
			return p, nil
		}
	}
	return place{}, &os.PathError{Op: "find", Path: "cgroup " + g.path, Err: fs.ErrNotExist}
}

// refuseRoot protects what belongs to the whole machine.
func (g *Group) refuseRoot(op string) error {
	for _, p := range g.places {
		if p.rel == "." {
			return fmt.Errorf("%s cgroup %s: refused for the root of %s", op, g.path, p.tree.mount)
		}
	}
	return nil
}

// Children lists the groups directly below, in any hierarchy, by path.
func (g *Group) Children() ([]*Group, error) {
	var paths []string
	for _, p := range g.places {
		below, err := p.children()
		if err != nil && !gone(err) {
			return nil, err
		}
		for _, c := range below {
			paths = append(paths, path.Join(g.path, path.Base(c.rel)))
		}
	}
	slices.Sort(paths)
	var groups []*Group
	for _, name := range slices.Compact(paths) {
		child, err := g.layout.Group(name)
		if err != nil {
			return nil, err
		}
		groups = append(groups, child)
	}
	return groups, nil
}

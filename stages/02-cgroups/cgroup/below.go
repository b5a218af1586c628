package cgroup

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// Below names a group below this one. paths maps a controller to a path counted from the group, which may begin
// with a slash; on v1 each hierarchy can have its own. The empty controller stands for every hierarchy. It asks
// the kernel nothing, and a path that leads out is refused.
func (g *Group) Below(paths map[string]string) (*Group, error) {
	for controller, sub := range paths {
		if slices.Contains(strings.Split(sub, "/"), "..") || strings.ContainsAny(sub, "\x00\n") {
			return nil, fmt.Errorf("bad sub cgroup path: %s", sub)
		}
		if controller != "" && !g.has(controller) {
			return nil, fmt.Errorf("unknown controller %s: this machine has %s with %v", controller, g.layout.mode, g.layout.Controllers())
		}
	}
	o := &Group{layout: g.layout, path: path.Join(g.path, paths[""])}
	for _, p := range g.places {
		p.rel = path.Join(p.rel, paths[""])
		for controller, sub := range paths {
			if controller != "" && p.tree.lists(controller) {
				p.rel = path.Join(p.rel, sub)
			}
		}
		o.places = append(o.places, p)
	}
	return o, nil
}

// has tells whether a v1 hierarchy of the group has a controller; "name=systemd" is one, too.
func (g *Group) has(controller string) bool {
	return slices.ContainsFunc(g.places, func(p place) bool { return p.tree.lists(controller) })
}

// lists: only v1's hierarchies are told apart by their controllers.
func (t *tree) lists(controller string) bool {
	return t.version == 1 && slices.Contains(t.controllers, controller)
}

// Admits reports whether a process may be put into the group: it is there and, on v2, it passes no controllers on to
// children, for then only those may hold processes ("no internal processes", cgroup-v2.rst).
func (g *Group) Admits() bool {
	if g.layout.mode != V2 {
		return g.Exists()
	}
	on, err := g.places[0].read("cgroup.subtree_control")
	return err == nil && (on == "" || g.places[0].rel == ".")
}

// Reachable reports whether the caller may move a process of its own into the group. On v2 that takes the right to
// write the list of processes of the nearest group that holds both (cgroup-v2.rst, "Delegation Containment").
func (g *Group) Reachable() bool {
	if g.layout.mode != V2 {
		return g.mayWrite("cgroup.procs")
	}
	from, err := g.layout.Of(os.Getpid())
	if err != nil {
		return false
	}
	common := g.path
	for common != "/" && from.path != common && !strings.HasPrefix(from.path, common+"/") {
		common = path.Dir(common)
	}
	above, err := g.layout.Group(common)
	return err == nil && above.mayWrite("cgroup.procs") && g.mayWrite("cgroup.procs")
}

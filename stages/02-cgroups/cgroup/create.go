package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Create makes the group in every hierarchy, with the parents that are missing; what exists already is left
// alone. On v1 a new cpuset gets its parent's CPUs and memory nodes (it starts with none, and a group with
// none admits nobody). On v2 every ancestor passes its controllers down. If it fails, what it made is removed.
func (g *Group) Create() error {
	if err := g.refuseRoot("create"); err != nil {
		return err
	}
	if g.unit != nil {
		return g.createUnit()
	}
	made, err := g.makeEverywhere()
	if err != nil {
		return errors.Join(err, undo(made))
	}
	return nil
}

// makeEverywhere makes the group in each hierarchy and readies it for processes. It returns the directories
// that are new, also when it fails: they are what has to be undone.
func (g *Group) makeEverywhere() (made []place, err error) {
	//ex:begin cg.create
	for _, p := range g.places {
		news, err := p.mkdirAll()
		made = append(made, news...)
		if err != nil {
			return made, err
		}
		switch {
		case g.layout.mode == V2:
			err = p.delegate(p.tree.controllers)
		case p.tree.serves("cpuset"):
			err = p.fillCpuset()
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
	//ex:stub
	// return nil, todo.Exercise("cg.create")
	//ex:end cg.create
}

// undo removes directories in reverse; one that somebody has begun to use meanwhile stays.
func undo(made []place) error {
	var errs []error
	for i := len(made) - 1; i >= 0; i-- {
		if err := made[i].rmdir(); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// mkdirAll makes the group and its missing parents, and tells which directories are new. The usual case,
// parent there and group not, is one system call. A parent may go again before its child is made: whoever
// made it has failed, and removed it.
func (p place) mkdirAll() (made []place, err error) {
	for range 3 {
		err = p.mkdir()
		up, ok := p.parent()
		if !errors.Is(err, unix.ENOENT) || !ok || up.rel == "." {
			break
		}
		above, err := up.mkdirAll()
		made = append(made, above...)
		if err == nil && len(above) > 0 && p.tree.version == 1 && p.tree.serves("cpuset") {
			err = up.cloneChildren()
		}
		if err != nil {
			return made, err
		}
	}
	if errors.Is(err, unix.EEXIST) && p.exists() {
		return made, nil
	}
	if err != nil {
		return made, err
	}
	return append(made, p), nil
}

func (p place) mkdir() error {
	_, err := p.do(func(root int) (int, error) { return 0, unix.Mkdirat(root, p.rel, 0o755) })
	if err != nil {
		return p.fail("mkdir", "", err)
	}
	return nil
}

// cloneChildren lets the groups that will be made below a new parent begin with its CPUs and memory nodes (cgroup-v1/cpusets.rst, "What
// does clone_children do"). To write them into each costs a look at every sibling, and new scheduling domains for the machine.
func (p place) cloneChildren() error { return p.write("cgroup.clone_children", "1") }

// fillCpuset copies cpuset.cpus and cpuset.mems from the parent where they are empty (cpusets(7)). An empty
// parent is filled first: it is one that somebody is just creating, or whose creator died in between.
func (p place) fillCpuset() error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if _, err := p.inherit(file); err != nil {
			return err
		}
	}
	return nil
}

func (p place) inherit(file string) (string, error) {
	have, err := p.read(file)
	have = strings.TrimSpace(have)
	up, ok := p.parent()
	if err != nil || have != "" || !ok {
		return have, err
	}
	if have, err = up.inherit(file); err != nil {
		return "", err
	}
	if have == "" {
		return "", fmt.Errorf("%s of %s is empty: no process could join a group below it", file, up)
	}
	return have, p.write(file, have)
}

// delegate makes controllers arrive in a v2 group: each must be in cgroup.subtree_control of every ancestor
// (cgroup-v2.rst, "Enabling and Disabling"). An ancestor that holds processes itself may not pass some of
// them on ("no internal processes"); it is left as it is, and a limit that needs the controller is refused
// later, by name, by explain.
func (p place) delegate(controllers []string) error {
	data, err := p.read("cgroup.controllers")
	if err != nil {
		return err
	}
	if len(missing(controllers, strings.Fields(data))) == 0 {
		return nil
	}
	//ex:begin cg.delegate
	at := place{p.tree, "."}
	for _, name := range strings.Split(p.rel, "/") {
		if err := at.passOn(controllers); err != nil {
			return err
		}
		at = at.child(name)
	}
	return nil
	//ex:stub
	// return todo.Exercise("cg.delegate")
	//ex:end cg.delegate
}

// passOn adds controllers to cgroup.subtree_control: all at once, or, when the kernel refuses the lot, those
// that it accepts one by one. EBUSY says that the group holds processes itself. Then the threaded ones alone (cpu,
// pids) would be accepted, and make the groups below "domain invalid": nobody could join them any more (EOPNOTSUPP).
func (p place) passOn(controllers []string) error {
	on, err := p.read("cgroup.subtree_control")
	if err != nil {
		return err
	}
	add := missing(controllers, strings.Fields(on))
	if len(add) == 0 {
		return nil
	}
	err = p.write("cgroup.subtree_control", "+"+strings.Join(add, " +"))
	if err == nil || errors.Is(err, unix.EBUSY) {
		return nil
	}
	for _, c := range add {
		err := p.write("cgroup.subtree_control", "+"+c)
		if err != nil && !refusal(err) {
			return err
		}
	}
	return nil
}

// refusal: processes inside (EBUSY), not passed down to here (ENOENT), real-time processes (EINVAL), threaded
// groups (EOPNOTSUPP), delegated to somebody else or mounted read-only.
func refusal(err error) bool {
	for _, known := range []error{unix.EBUSY, unix.ENOENT, unix.EINVAL, unix.EOPNOTSUPP, os.ErrPermission, unix.EROFS} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// missing returns the elements of want that have lacks.
func missing(want, have []string) []string {
	var out []string
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h == w
		}
		if !found {
			out = append(out, w)
		}
	}
	return out
}

// explain says why a v2 group has no files of a controller.
func (p place) explain(controller string) string {
	at := place{p.tree, "."}
	for _, name := range strings.Split(p.rel, "/") {
		on, err := at.read("cgroup.subtree_control")
		if err != nil {
			return err.Error()
		}
		if len(missing([]string{controller}, strings.Fields(on))) > 0 {
			why := ""
			if procs, err := at.read("cgroup.procs"); err == nil && procs != "" && at.rel != "." {
				why = ", which holds processes itself and so may not pass it on"
			}
			return fmt.Sprintf("%q is not in %s%s", controller, path.Join(at.String(), "cgroup.subtree_control"), why)
		}
		at = at.child(name)
	}
	return "this kernel has no such file"
}

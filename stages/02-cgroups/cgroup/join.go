package cgroup

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Join moves a process (0 is the caller) with all its threads into the group, in every hierarchy.
func (g *Group) Join(pid int) error {
	for _, p := range g.places {
		if err := p.join(pid); err != nil {
			return err
		}
	}
	g.Settle()
	return nil
}

// join tolerates EINVAL for a moment: the kernel gives it for a process that is not yet through fork(2).
func (p place) join(pid int) error {
	var err error
	for range 5 {
		err = p.write("cgroup.procs", strconv.Itoa(pid))
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// File opens the group's directory for CLONE_INTO_CGROUP (clone(2)), so that a process is born inside. Only
// v2 can do that for all controllers: on v1 and hybrid the file is nil. [Group.Birth] suits every machine.
// EBUSY from clone3 means that the group has children with controllers ("no internal processes"): whoever
// runs inside has moved down, and so should the newcomer; [Layout.Of] tells where.
func (g *Group) File() (*os.File, error) {
	if g.layout.mode != V2 {
		return nil, nil
	}
	return g.places[0].open(".", unix.O_RDONLY|unix.O_DIRECTORY)
}

// JoinFiles opens what a process has to write "0" to, once each, to be in the group: one file for each
// hierarchy, close-on-exec, to be closed by the caller. A process that was born in [Group.File] needs none.
//
// On v1 it is the file "tasks", which moves the writing thread alone: for that the kernel need not stop all
// forks of the machine, as it must for cgroup.procs. So the writer must have one thread, or exec next.
func (g *Group) JoinFiles() (files []*os.File, err error) {
	//ex:begin cg.birth
	for _, p := range g.places {
		name := "tasks"
		if p.tree.version == 2 {
			name = "cgroup.procs"
		}
		f, err := p.open(name, unix.O_WRONLY)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
	//ex:stub
	// return nil, todo.Exercise("cg.birth")
	//ex:end cg.birth
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

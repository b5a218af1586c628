package cgroup

import (
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Dir is where a group is in one hierarchy.
type Dir struct {
	Mount       string   // mount point of the hierarchy
	Path        string   // directory of the group, below Mount
	Version     int      // 1 or 2
	Controllers []string // of the hierarchy, by the kernel's names; a named v1 hierarchy has "name=systemd"
}

// Dirs tells where the group is in each hierarchy, whether it exists there or not; the v2 tree is the last. The
// files of [Group.JoinFiles] are in the same order.
func (g *Group) Dirs() []Dir {
	var dirs []Dir
	for _, p := range g.places {
		dirs = append(dirs, Dir{p.tree.mount, p.String(), p.tree.version, slices.Clone(p.tree.controllers)})
	}
	return dirs
}

// Birth opens what it takes to start a process inside the group, in all three modes: it is to be born in dir
// (CLONE_INTO_CGROUP; nil on v1, where there is no v2 tree) and to write "0" to each of files (none on v2)
// before it executes a program. On a hybrid machine that is both. The caller closes them.
//
// It is the cheapest way in: neither of the two stops the forks of the whole machine (kernel/cgroup/cgroup.c,
// cgroup_attach_lock).
func (g *Group) Birth() (dir *os.File, files []*os.File, err error) {
	files, err = g.JoinFiles()
	if err != nil {
		return nil, nil, err
	}
	p, ok := g.unified()
	if !ok {
		return nil, files, nil
	}
	files = slices.DeleteFunc(files, func(f *os.File) bool {
		return filepath.Dir(f.Name()) == p.String() && f.Close() == nil
	})
	dir, err = p.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		closeAll(files)
		return nil, nil, err
	}
	return dir, files, nil
}

package cgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNone: no control group hierarchy is mounted.
var ErrNone = errors.New("no cgroup hierarchy is mounted here")

// Detect reads the calling process's mount table and opens the hierarchies in it.
func Detect() (*Layout, error) {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	self, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	l, err := Parse(mounts, self)
	if err != nil {
		return nil, err
	}
	return l.Open("/")
}

// Parse makes a Layout out of a mountinfo file and the reader's own /proc/self/cgroup, whose second column
// tells which mount options are controllers. It touches no file: the Layout answers Mode, Controllers (of
// v1) and Group, and must be given to [Layout.Open] before its groups can be used.
func Parse(mountinfo, selfCgroup io.Reader) (*Layout, error) {
	mounts, err := readMountinfo(mountinfo)
	if err != nil {
		return nil, err
	}
	self, err := readMemberships(selfCgroup)
	if err != nil {
		return nil, err
	}
	return arrange(mounts, self)
}

func arrange(mounts []mount, self []membership) (*Layout, error) {
	l := &Layout{proc: "/proc"}
	var v2 *tree
	controllers := 0
	for _, m := range mounts {
		t := m.tree(self)
		switch {
		case t.version == 2:
			v2 = better(v2, t)
		case len(t.controllers) > 0:
			l.add(t)
		}
	}
	for _, t := range l.trees {
		if !strings.HasPrefix(t.controllers[0], "name=") {
			controllers++
		}
	}
	switch {
	case v2 == nil && len(l.trees) == 0:
		return nil, ErrNone
	case v2 == nil:
		l.mode = V1
	case controllers == 0: // at most named hierarchies, which govern nothing
		l.mode, l.trees = V2, []*tree{v2}
	default:
		l.mode, l.trees = Hybrid, append(l.trees, v2)
	}
	return l, nil
}

// tree translates a mount; known controllers are those that /proc/self/cgroup lists.
func (m mount) tree(self []membership) *tree {
	t := &tree{mount: m.point, root: m.root, version: 1}
	if m.fstype == "cgroup2" {
		t.version = 2
		return t
	}
	for _, line := range self {
		for _, c := range line.controllers {
			if slices.Contains(m.options, c) {
				t.controllers = append(t.controllers, c)
			}
		}
	}
	return t
}

// add keeps one mount of each hierarchy.
func (l *Layout) add(t *tree) {
	for i, old := range l.trees {
		if slices.Equal(old.controllers, t.controllers) {
			l.trees[i] = better(old, t)
			return
		}
	}
	l.trees = append(l.trees, t)
}

// better chooses between two mounts of one hierarchy: the one that shows more of it; the first if equal.
func better(a, b *tree) *tree {
	if a == nil || len(b.root) < len(a.root) {
		return b
	}
	return a
}

// Open returns a copy of the Layout with its hierarchies open and v2's controllers read. root stands before
// every path: "/" on a machine, a fixture's folder in a test.
func (l *Layout) Open(root string) (*Layout, error) {
	opened := &Layout{mode: l.mode, proc: filepath.Join(root, l.proc)}
	for _, t := range l.trees {
		t, err := t.open(root)
		if err != nil {
			return nil, err
		}
		opened.trees = append(opened.trees, t)
	}
	return opened, nil
}

func (t *tree) open(root string) (*tree, error) {
	o := *t
	o.mount = filepath.Join(root, t.mount)
	fd, err := retry(func() (int, error) {
		return unix.Open(o.mount, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: o.mount, Err: err}
	}
	o.dir = os.NewFile(uintptr(fd), o.mount)
	if root == "/" {
		if err := o.verify(); err != nil {
			return nil, err
		}
	}
	if t.version == 2 {
		data, err := place{tree: &o, rel: "."}.read("cgroup.controllers")
		if err != nil {
			return nil, err
		}
		o.controllers = strings.Fields(data)
	}
	return &o, nil
}

// verify makes sure that the mount point still shows a cgroup file system: another mount may hide it.
func (t *tree) verify() error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(t.dir.Fd()), &s); err != nil {
		return &os.PathError{Op: "statfs", Path: t.mount, Err: err}
	}
	want := int64(unix.CGROUP_SUPER_MAGIC)
	if t.version == 2 {
		want = unix.CGROUP2_SUPER_MAGIC
	}
	if int64(s.Type) != want {
		return fmt.Errorf("%s: mountinfo lists a cgroup hierarchy, but another mount hides it", t.mount)
	}
	return nil
}

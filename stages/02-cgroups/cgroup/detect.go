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
	var v1 []*tree
	var v2 *tree
	for _, m := range mounts {
		t := m.tree(self)
		switch {
		case t.version == 2:
			v2 = better(v2, t)
		case len(t.controllers) > 0:
			v1 = add(v1, t)
		}
	}
	return classify("/proc", v1, v2)
}

// classify names the mode. A v1 hierarchy with a name but no controller governs nothing: it does not make a
// machine hybrid.
func classify(proc string, v1 []*tree, v2 *tree) (*Layout, error) {
	governs := slices.ContainsFunc(v1, func(t *tree) bool { return !strings.HasPrefix(t.controllers[0], "name=") })
	switch {
	case v2 == nil && len(v1) == 0:
		return nil, ErrNone
	case v2 == nil:
		return &Layout{mode: V1, trees: v1, proc: proc}, nil
	case !governs:
		return &Layout{mode: V2, trees: []*tree{v2}, proc: proc}, nil
	}
	return &Layout{mode: Hybrid, trees: append(v1, v2), proc: proc}, nil
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
func add(trees []*tree, t *tree) []*tree {
	for i, old := range trees {
		if slices.Equal(old.controllers, t.controllers) {
			trees[i] = better(old, t)
			return trees
		}
	}
	return append(trees, t)
}

// better orders two mounts of one hierarchy: the one that shows more of it first, then the earlier; the other
// stays as its spare.
func better(a, b *tree) *tree {
	if a == nil || len(b.root) < len(a.root) {
		b.spare = a
		return b
	}
	a.spare = better(a.spare, b)
	return a
}

// Open returns a copy of the Layout with its hierarchies open and v2's controllers read. root stands before
// every path: "/" on a machine, a fixture's folder in a test. A hierarchy that mountinfo lists but another
// mount hides is left out.
func (l *Layout) Open(root string) (*Layout, error) {
	var v1 []*tree
	var v2 *tree
	for _, t := range l.trees {
		t, err := t.openVisible(root)
		switch {
		case errors.Is(err, errHidden):
		case err != nil:
			return nil, err
		case t.version == 2:
			v2 = t
		default:
			v1 = append(v1, t)
		}
	}
	return classify(filepath.Join(root, l.proc), v1, v2)
}

var errHidden = errors.New("another mount hides it")

// openVisible opens the first mount of a hierarchy that can be seen.
func (t *tree) openVisible(root string) (*tree, error) {
	o, err := t.open(root)
	if errors.Is(err, errHidden) && t.spare != nil {
		return t.spare.openVisible(root)
	}
	return o, err
}

func (t *tree) open(root string) (*tree, error) {
	o := *t
	o.mount = filepath.Join(root, t.mount)
	fd, err := retry(func() (int, error) {
		return unix.Open(o.mount, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil, fmt.Errorf("%s: %w", o.mount, errHidden)
	}
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

// verify makes sure that the mount point still shows a cgroup file system of the right version.
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
		return fmt.Errorf("%s: %w", t.mount, errHidden)
	}
	return nil
}

package idmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Mount is a mount whose files shall have other owners: of a directory ("bind"), or an overlay.
type Mount struct {
	Type, Source string
	Flags        uintptr  // of mount(2)
	Data         []string // an overlay's options
}

// On makes the mount on target. The process has a child for a moment, which nobody else may wait for.
func (m Mount) On(target string, ids *Map) error {
	tree, err := m.tree(ids)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	return nil
}

// Probe finds out by trying whether this kernel maps the ids of a mount of this kind ("bind" or "overlay") on the file system of dir;
// the error says why not.
func Probe(kind, dir string) error {
	probe, err := os.MkdirTemp(dir, ".new-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(probe)
	at := func(name string) string { return filepath.Join(probe, name) }
	for _, sub := range []string{"lower", "fs", "work"} {
		if err := os.Mkdir(at(sub), 0o755); err != nil {
			return err
		}
	}
	m := Mount{Type: "bind", Source: at("fs")}
	if kind == "overlay" {
		m = Mount{Type: kind, Source: kind, Data: []string{"lowerdir=" + at("lower"), "upperdir=" + at("fs"), "workdir=" + at("work")}}
	}
	ranges := []Range{{0, 1 << 16, 1}}
	tree, err := m.tree(&Map{ranges, ranges})
	if err != nil {
		return err
	}
	return unix.Close(tree)
}

// tree gives the mount while it is attached to nothing.
func (m Mount) tree(ids *Map) (tree int, err error) {
	users, err := ids.Namespace()
	if err != nil {
		return -1, fmt.Errorf("user namespace for the id map: %w", err)
	}
	defer users.Close()
	switch {
	case m.Type == "overlay":
		return m.overlay(ids, int(users.Fd()))
	case m.Flags&unix.MS_BIND == 0 && m.Type != "bind":
		return -1, fmt.Errorf("only bind mounts and overlays can be mapped, not %s: %w", m.Type, errors.ErrUnsupported)
	}
	return clone(m.Source, int(users.Fd()), attributes(m.Flags))
}

// attributes are the flags of mount(2) as those of mount_setattr(2).
func attributes(flags uintptr) (set uint64) {
	for flag, attr := range map[uintptr]uint64{
		unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY, unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID, unix.MS_NODEV: unix.MOUNT_ATTR_NODEV,
		unix.MS_NOEXEC: unix.MOUNT_ATTR_NOEXEC, unix.MS_NODIRATIME: unix.MOUNT_ATTR_NODIRATIME,
	} {
		if flags&flag != 0 {
			set |= attr
		}
	}
	return set
}

// clone copies the mount of a directory and maps the copy, which only a detached one may be.
func clone(dir string, users int, set uint64) (int, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | set, Userns_fd: uint64(users)}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(tree)
		return -1, fmt.Errorf("map the ids of %s: %w", dir, err)
	}
	return tree, nil
}

package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountMapped makes a mount that shows its files with other owners (mount_setattr(2), "ID-mapped mounts"). What is on disk stays as it is:
// a file that the container's root makes is root's there, so the snapshot can be committed and be the parent of others.
func mountMapped(m Mount, ids *IDMap, target string) error {
	tree, err := mappedTree(m, ids)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	return nil
}

// mappedTree gives the mount while it is attached to nothing.
func mappedTree(m Mount, ids *IDMap) (tree int, err error) {
	users, err := ids.namespace()
	if err != nil {
		return -1, fmt.Errorf("user namespace for the id map: %w", err)
	}
	defer users.Close()
	flags, data := SplitOptions(m)
	if m.Type == "overlay" {
		return mappedOverlay(data, flags, ids, int(users.Fd()))
	}
	return mappedClone(m.Source, int(users.Fd()), attributes(flags))
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

// mappedClone copies the mount of a directory and maps the copy, which only a detached one may be.
func mappedClone(dir string, users int, set uint64) (int, error) {
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

// mappedOverlay stacks mapped copies of the layers, upper and work directory among them. overlayfs takes them by path, so they have to be
// attached somewhere: in a mount namespace that ends with a thread, where nobody sees them. The overlay keeps copies of its own.
func mappedOverlay(data []string, flags uintptr, ids *IDMap, users int) (tree int, err error) {
	dir, err := os.MkdirTemp("", "slipway-idmap-")
	if err != nil {
		return -1, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	err = Apart(func() error {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
		moved, err := mapLayers(data, dir, users)
		if err != nil {
			return err
		}
		at := filepath.Join(dir, "merged")
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		text, done, err := fitPage(strings.Join(moved, ","))
		if err != nil {
			return err
		}
		defer done()
		if err := become(lookUp(ids.UIDs, 0, false), lookUp(ids.GIDs, 0, false)); err != nil {
			return err
		}
		if err := unix.Mount("overlay", at, "overlay", flags, text); err != nil {
			return fmt.Errorf("mount overlay of mapped layers: %w", err)
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		return err
	})
	return tree, err
}

// become makes the thread act on files as another root, with all that root may do: overlayfs goes on acting as whoever mounted it, and
// the host's root is nobody to a mapped upper directory (EOVERFLOW). setfsuid(2) takes capabilities away; they are still permitted.
func become(uid, gid uint32) error {
	if err := unix.Setfsgid(int(gid)); err != nil {
		return err
	}
	if err := unix.Setfsuid(int(uid)); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// mapLayers attaches a mapped copy of each layer below dir and gives the options with their new places.
func mapLayers(options []string, dir string, users int) ([]string, error) {
	n := 0
	attach := func(layer string) (string, error) {
		at := filepath.Join(dir, strconv.Itoa(n))
		n++
		if err := os.Mkdir(at, 0o700); err != nil {
			return "", err
		}
		tree, err := mappedClone(layer, users, 0)
		if err != nil {
			return "", err
		}
		defer unix.Close(tree)
		return at, unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	var moved []string
	upper := ""
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		var err error
		switch key {
		case "lowerdir":
			dirs := strings.Split(value, ":")
			for i := range dirs {
				if dirs[i], err = attach(dirs[i]); err != nil {
					return nil, err
				}
			}
			o = "lowerdir=" + strings.Join(dirs, ":")
		case "upperdir", "workdir": // both must be on one mount: that of the directory they lie in
			if upper == "" {
				upper, err = attach(filepath.Dir(value))
			}
			o = key + "=" + filepath.Join(upper, filepath.Base(value))
		}
		if err != nil {
			return nil, err
		}
		moved = append(moved, o)
	}
	return moved, nil
}

// canMap finds out by trying whether this kernel maps the ids of a mount of this kind ("bind" or "overlay") on the file system of dir.
func canMap(kind, dir string) bool {
	probe, err := os.MkdirTemp(dir, ".new-probe-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(probe)
	for _, sub := range []string{"lower", "fs", "work"} {
		if err := os.Mkdir(filepath.Join(probe, sub), 0o755); err != nil {
			return false
		}
	}
	at := func(name string) string { return filepath.Join(probe, name) }
	m := Mount{Type: "bind", Source: at("fs")}
	if kind == "overlay" {
		m = Mount{Type: kind, Source: kind, Options: []string{"lowerdir=" + at("lower"), "upperdir=" + at("fs"), "workdir=" + at("work")}}
	}
	ranges := []IDRange{{0, 1 << 16, 1}}
	tree, err := mappedTree(m, &IDMap{ranges, ranges})
	if err != nil {
		return false
	}
	unix.Close(tree)
	return true
}

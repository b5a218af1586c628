package idmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/03-rootfs/apart"
	"golang.org/x/sys/unix"
)

// overlay stacks mapped copies of the layers. overlayfs takes them by path, so they have to be attached somewhere: in a mount namespace that
// ends with a thread, where nobody sees them. The overlay keeps copies of its own. In that thread's working directory their names are
// numbers, so however many layers there are, the options fit into the one page that mount(2) takes.
func (m Mount) overlay(ids *Map, users int) (tree int, err error) {
	dir, err := os.MkdirTemp("", "slipway-idmap-")
	if err != nil {
		return -1, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	err = apart.Do(func() error {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
		if err := unix.Chdir(dir); err != nil {
			return err
		}
		l := &layers{users: users, ids: ids}
		moved, err := l.move(m.Data)
		if err != nil {
			return err
		}
		const at = "merged"
		if err := unix.Mkdir(at, 0o700); err != nil {
			return err
		}
		if !l.plainUpper {
			if err := become(LookUp(ids.UIDs, 0, false), LookUp(ids.GIDs, 0, false)); err != nil {
				return err
			}
		}
		if err := unix.Mount("overlay", at, "overlay", m.Flags, strings.Join(moved, ",")); err != nil {
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

// layers are those that are attached below the working directory.
type layers struct {
	users int
	ids   *Map
	n     int
	upper string // where the directory with the upper and the work directory is
	// plainUpper: the upper directory is the container's root's on the host already, as containerd's snapshotter makes it, so
	// only what lies below it is mapped.
	plainUpper bool
}

// move attaches a mapped copy of each layer and gives the options with their new places.
func (l *layers) move(options []string) (moved []string, err error) {
	for _, o := range options {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			if l.plainUpper, err = l.ids.owns(dir); err != nil {
				return nil, err
			}
		}
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "lowerdir":
			o, err = l.lower(value)
		case "upperdir", "workdir":
			o, err = l.writable(key, value)
		}
		if err != nil {
			return nil, err
		}
		moved = append(moved, o)
	}
	return moved, nil
}

// owns tells whether a directory belongs to the container's root as the host sees it.
func (m *Map) owns(dir string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return false, fmt.Errorf("%s: %w", dir, err)
	}
	uid, gid := LookUp(m.UIDs, 0, false), LookUp(m.GIDs, 0, false)
	return uid != 0 && st.Uid == uid && st.Gid == gid, nil
}

func (l *layers) lower(list string) (option string, err error) {
	dirs := strings.Split(list, ":")
	for i := range dirs {
		if dirs[i], err = l.attach(dirs[i]); err != nil {
			return "", err
		}
	}
	return "lowerdir=" + strings.Join(dirs, ":"), nil
}

// writable moves the upper or the work directory: both must be on one mount, that of the directory they lie in.
func (l *layers) writable(key, dir string) (option string, err error) {
	if l.plainUpper {
		return key + "=" + dir, nil
	}
	if l.upper == "" {
		if l.upper, err = l.attach(filepath.Dir(dir)); err != nil {
			return "", err
		}
	}
	return key + "=" + filepath.Join(l.upper, filepath.Base(dir)), nil
}

// attach puts a mapped copy of a layer below the working directory.
func (l *layers) attach(layer string) (name string, err error) {
	name = strconv.Itoa(l.n)
	l.n++
	if err := unix.Mkdir(name, 0o700); err != nil {
		return "", err
	}
	tree, err := clone(layer, l.users, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(tree)
	return name, unix.MoveMount(tree, "", unix.AT_FDCWD, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"golang.org/x/sys/unix"
)

// MountAll makes the mounts in order, on target or below it. When one fails, those before it are undone.
func MountAll(ms []Mount, target string) error {
	for i, m := range ms {
		err := mountOne(m, filepath.Join(target, m.Target))
		if err == nil {
			continue
		}
		for j := i - 1; j >= 0; j-- {
			err = errors.Join(err, unmountOnce(filepath.Join(target, ms[j].Target)))
		}
		return err
	}
	return nil
}

// flagWords are the options of mount(8) that are flags of mount(2) and not data for the file system.
func flagWords() map[string]uintptr {
	return map[string]uintptr{
		"ro": unix.MS_RDONLY, "rw": 0, "bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "defaults": 0,
		"nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "noatime": unix.MS_NOATIME,
		"nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "sync": unix.MS_SYNCHRONOUS,
	}
}

// SplitOptions tells the flags of mount(2) from the data for the file system.
func SplitOptions(m Mount) (flags uintptr, data []string) {
	words := flagWords()
	for _, o := range m.Options {
		if f, ok := words[o]; ok {
			flags |= f
			continue
		}
		data = append(data, o)
	}
	if m.Type == "bind" {
		flags |= unix.MS_BIND
	}
	return flags, data
}

func mountOne(m Mount, target string) error {
	ids, options, err := idmap.Take(m.Options)
	m.Options = options
	flags, data := SplitOptions(m)
	if err == nil && ids != nil {
		err = idmap.Mount{Type: m.Type, Source: m.Source, Flags: flags, Data: data}.On(target, ids)
	}
	if err != nil {
		return fmt.Errorf("mount %s %s on %s with other owners: %w", m.Type, m.Source, target, err)
	}
	if ids != nil {
		return nil
	}
	text, done, err := fitPage(strings.Join(data, ","))
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.Type, target, err)
	}
	defer done()
	if err := unix.Mount(m.Source, target, m.Type, flags, text); err != nil {
		return fmt.Errorf("mount %s %s on %s (%s): %w", m.Type, m.Source, target, strings.Join(m.Options, ","), err)
	}
	if flags&unix.MS_BIND == 0 || flags&^(unix.MS_BIND|unix.MS_REC) == 0 {
		return nil
	}
	// A bind mount takes its flags from its source; its own it gets by a second call (mount(2), "Creating a bind mount").
	if err := unix.Mount("", target, "", flags&^unix.MS_REC|unix.MS_REMOUNT, ""); err != nil {
		return errors.Join(fmt.Errorf("remount %s (%s): %w", target, strings.Join(m.Options, ","), err), unmountOnce(target))
	}
	return nil
}

// fitPage makes the options fit into the one page that mount(2) copies. An image of many layers has a long lowerdir; its
// directories are opened and named by their descriptors, which are short.
func fitPage(data string) (short string, done func(), err error) {
	done = func() {}
	if len(data) < os.Getpagesize() {
		return data, done, nil
	}
	var open []*os.File
	done = func() {
		for _, f := range open {
			f.Close()
		}
	}
	options := strings.Split(data, ",")
	for i, o := range options {
		list, ok := strings.CutPrefix(o, "lowerdir=")
		if !ok {
			continue
		}
		dirs := strings.Split(list, ":")
		for j, dir := range dirs {
			f, err := os.Open(dir)
			if err != nil {
				done()
				return "", nil, err
			}
			open = append(open, f)
			dirs[j] = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		}
		options[i] = "lowerdir=" + strings.Join(dirs, ":")
	}
	if short = strings.Join(options, ","); len(short) >= os.Getpagesize() {
		done()
		return "", nil, fmt.Errorf("options of %d bytes do not fit into a page: %w", len(short), unix.E2BIG)
	}
	return short, done, nil
}

// UnmountAll unmounts target as often as something is mounted there. A target that is not there, or no mount point, is no error.
func UnmountAll(target string) error {
	for {
		err := unmountOnce(target)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unmountOnce waits a little for one who still has a file open there, then lets the kernel finish when that one is done
// (umount2(2), MNT_DETACH): "device or resource busy" helps nobody.
func unmountOnce(target string) error {
	for wait := time.Millisecond; wait < 20*time.Millisecond; wait *= 2 {
		err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return &fs.PathError{Op: "unmount", Path: target, Err: err}
		}
		time.Sleep(wait)
	}
	if err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
		return &fs.PathError{Op: "unmount", Path: target, Err: err}
	}
	return nil
}

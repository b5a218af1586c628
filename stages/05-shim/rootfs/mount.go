// Package rootfs mounts the root file system a manager describes in Create, and takes it away again.
package rootfs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/containerd/api/types"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
)

// Mount mounts the list, one over the other, at target. On error nothing stays mounted. A mount with an id map needs a child process
// for a moment: nobody else may reap while it is made.
func Mount(mounts []*types.Mount, target string) (err error) {
	if len(mounts) == 0 {
		return nil
	}
	if err := os.MkdirAll(target, 0o711); err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	for i, m := range mounts {
		p, err := Parse(m)
		if err == nil {
			err = mount(p, target)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("mount %s of type %s on %s: %w", m.Source, m.Type, target, err), unmountTimes(target, i))
		}
	}
	return nil
}

// Plan is a mount request in the kernel's terms.
type Plan struct {
	Source, Type string
	Flags        uintptr
	Remount      uintptr // flags a bind mount gets in a second step (mount(2): a first one ignores them)
	Data         string
	IDs          *idmap.Map // nil: the files keep their owners
}

// flags are the options of mount(8) that are flags of mount(2); the other options are data.
var flags = map[string]struct {
	set   uintptr
	clear uintptr
}{
	"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
	"nosuid": {set: unix.MS_NOSUID}, "suid": {clear: unix.MS_NOSUID},
	"nodev": {set: unix.MS_NODEV}, "dev": {clear: unix.MS_NODEV},
	"noexec": {set: unix.MS_NOEXEC}, "exec": {clear: unix.MS_NOEXEC},
	"sync": {set: unix.MS_SYNCHRONOUS}, "dirsync": {set: unix.MS_DIRSYNC},
	"noatime": {set: unix.MS_NOATIME}, "nodiratime": {set: unix.MS_NODIRATIME},
	"relatime": {set: unix.MS_RELATIME}, "strictatime": {set: unix.MS_STRICTATIME},
	"bind": {set: unix.MS_BIND}, "rbind": {set: unix.MS_BIND | unix.MS_REC},
	"defaults": {},
}

// Parse turns a request into what mount(2) wants. The options uidmap= and gidmap= are containerd's, for snapshots of user namespaces.
func Parse(m *types.Mount) (Plan, error) {
	ids, options, err := idmap.Take(m.Options)
	p := Plan{Source: m.Source, Type: m.Type, IDs: ids}
	var data []string
	for _, option := range options {
		flag, ok := flags[option]
		if !ok {
			data = append(data, option)
			continue
		}
		p.Flags = p.Flags&^flag.clear | flag.set
	}
	p.Data = strings.Join(data, ",")
	if p.Type == "bind" || p.Type == "rbind" {
		p.Flags |= unix.MS_BIND
	}
	if p.Flags&unix.MS_BIND != 0 {
		p.Type = ""
		if rest := p.Flags &^ (unix.MS_BIND | unix.MS_REC); rest != 0 {
			p.Remount = unix.MS_REMOUNT | unix.MS_BIND | rest
		}
	}
	return p, err
}

func mount(p Plan, target string) error {
	if p.IDs != nil {
		return idmap.Mount{Type: p.Type, Source: p.Source, Flags: p.Flags, Data: strings.Split(p.Data, ",")}.On(target, p.IDs)
	}
	if p.Type == "overlay" && len(p.Data) >= os.Getpagesize() {
		return mountLongOverlay(p, target)
	}
	if err := unix.Mount(p.Source, target, p.Type, p.Flags, p.Data); err != nil {
		return err
	}
	if p.Remount == 0 {
		return nil
	}
	if err := unix.Mount("", target, "", p.Remount, ""); err != nil {
		return errors.Join(err, unmountTimes(target, 1))
	}
	return nil
}

// mountLongOverlay mounts an overlay whose options do not fit into the one page mount(2) takes.
// fsconfig(2) takes them one at a time, each layer as lowerdir+ (Linux 6.8).
func mountLongOverlay(p Plan, target string) error {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	for option := range strings.SplitSeq(p.Data, ",") {
		if err := setOverlayOption(fs, option); err != nil {
			return fmt.Errorf("overlay option %.80q: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("fsconfig create: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes(p.Flags))
	if err != nil {
		return fmt.Errorf("fsmount: %w", err)
	}
	defer unix.Close(fd)
	return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func setOverlayOption(fs int, option string) error {
	key, value, hasValue := strings.Cut(option, "=")
	if !hasValue {
		return unix.FsconfigSetFlag(fs, key)
	}
	if key != "lowerdir" {
		return unix.FsconfigSetString(fs, key, value)
	}
	for layer := range strings.SplitSeq(value, ":") {
		if err := unix.FsconfigSetString(fs, "lowerdir+", layer); err != nil {
			return err
		}
	}
	return nil
}

// attributes gives MS_ flags as MOUNT_ATTR_ flags; for these the numbers are the same.
func attributes(flags uintptr) int {
	return int(flags & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC))
}

// Unmount takes away everything that is mounted at target. What a stray process still uses goes
// with its last user.
func Unmount(target string) error {
	for range 128 {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // nothing (more) is mounted there
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	return fmt.Errorf("unmount %s: mounted too many times", target)
}

func unmountTimes(target string, n int) (err error) {
	for range n {
		err = errors.Join(err, unix.Unmount(target, unix.MNT_DETACH))
	}
	return err
}

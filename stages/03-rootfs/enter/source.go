package enter

import (
	"fmt"
	"os"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// mapped says so in the list.
func (m Mount) mapped() string {
	if m.IDs == nil {
		return ""
	}
	return " and map its ids"
}

// openSource copies the mount of a bind's source in the parent, which can reach what the child's ids could not.
func openSource(m Mount, s launch.Slot) launch.Step {
	return launch.Step{
		Name: "open " + m.Source + m.mapped(), Because: "its path may lead through directories that the container's ids may not search",
		Do: func(run *launch.Run) error {
			flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
			if m.Flags&unix.MS_REC != 0 {
				flags |= unix.AT_RECURSIVE
			}
			fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, flags)
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), m.Source)
			if m.IDs != nil {
				if err := m.IDs.apply(fd); err != nil {
					return closeAnd(f, err)
				}
			}
			run.Hold(s, f)
			return nil
		},
	}
}

// apply maps the ids of a mount that nobody sees yet: only a detached one may be mapped.
func (ids *IDs) apply(tree int) error {
	users, err := ids.Users()
	if err != nil {
		return err
	}
	defer users.Close()
	flags := uint(unix.AT_EMPTY_PATH)
	if ids.Deep {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", flags, &attr); err != nil {
		return fmt.Errorf("map its ids: %w", err)
	}
	return nil
}

// openNode copies the mount of the host's device node, after making sure that it is that device.
func openNode(d Device, s launch.Slot) launch.Step {
	return launch.Step{
		Name: "open the host's " + d.Path, Because: "verified before it is shown inside (CVE-2025-31133)",
		Do: func(run *launch.Run) error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, d.Path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), d.Path)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				return closeAnd(f, err)
			}
			if st.Mode&unix.S_IFMT != d.Type || st.Rdev != unix.Mkdev(d.Major, d.Minor) {
				return closeAnd(f, fmt.Errorf("it is not device %d:%d: %w", d.Major, d.Minor, unix.ENXIO))
			}
			run.Hold(s, f)
			return nil
		},
	}
}

func closeAnd(f *os.File, err error) error {
	_ = f.Close() // the first error is the cause
	return err
}

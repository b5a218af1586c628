package enter

import (
	"os"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// bindOnHost makes the root file system a mount of its own in a mount namespace that is not the container's: all that is
// mounted below it goes when it is unmounted. Its propagation is private, so that nothing of it appears elsewhere; the
// propagation of the namespace's own mounts is not for a container to change.
func (r *Root) bindOnHost() launch.Step {
	return launch.Step{
		Name: "bind " + r.Root + " on itself", Because: "no mount namespace of its own: its mounts are made here, and gone with this one",
		Do: func(*launch.Run) error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, r.Root, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), r.Root)
			private := unix.MountAttr{Propagation: unix.MS_PRIVATE}
			if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &private); err != nil {
				return closeAnd(f, err)
			}
			return closeAnd(f, unix.MoveMount(fd, "", unix.AT_FDCWD, r.Root, unix.MOVE_MOUNT_F_EMPTY_PATH))
		},
		Undo: func(*launch.Run) error { return unix.Unmount(r.Root, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) },
	}
}

// bare tells whether nothing is to be mounted.
func (r *Root) bare() bool {
	return len(r.Mounts)+len(r.Devices)+len(r.MaskedPaths)+len(r.ReadonlyPaths) == 0 && !r.Readonly && r.Console == nil
}

// openRoot opens what bindOnHost has made.
func (r *Root) openRoot() launch.Step {
	return child("open "+r.Root, "every path of the container is resolved below this descriptor",
		launch.Call(unix.SYS_UMASK, launch.Int(0)),
		launch.Call(unix.SYS_OPENAT, atCwd, launch.Str(r.Root), launch.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Into(r.root))
}

// chroot enters a root file system in a mount namespace that is not the container's: only its idea of / changes.
func (r *Root) chroot() launch.Step {
	return child("chroot to "+r.Root, "no mount namespace of its own: there is nothing to pivot",
		launch.Call(unix.SYS_FCHDIR, r.root), launch.Call(unix.SYS_CHROOT, launch.Str(".")), launch.Call(unix.SYS_CHDIR, launch.Str("/")),
		closeSlot(r.root))
}

package enter

import (
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// rootPropagation is what mounts become for this mount namespace. Nothing of an unbindable one could be shown inside, so only the
// finished root becomes that.
func (r *Root) rootPropagation() uintptr {
	switch {
	case r.Propagation == 0:
		return unix.MS_SLAVE
	case r.Propagation&unix.MS_UNBINDABLE != 0:
		return unix.MS_PRIVATE
	}
	return r.Propagation
}

// finish gives the root mount the propagation that was asked for: until now it was a private copy, because pivot_root(2) takes no
// other, and because what was mounted in it must not appear on the host.
func (r *Root) finish() []launch.Step {
	if r.Propagation&(unix.MS_SHARED|unix.MS_UNBINDABLE) == 0 {
		return nil
	}
	return []launch.Step{child("make the new / "+propagationName(r.Propagation), "config.json linux.rootfsPropagation; mount_namespaces(7)",
		launch.Call(unix.SYS_MOUNT, launch.Int(0), launch.Str("/"), launch.Int(0), launch.Int(r.Propagation), launch.Int(0)))}
}

// propagation cuts the way back: the namespace is a copy of the host's table, in which every mount is still a peer of its
// original.
func (r *Root) propagation() launch.Step {
	return child("make / "+propagationName(r.rootPropagation())+", recursively", "pivot_root(2): EINVAL while a parent mount is shared; mounts made here must not appear on the host",
		launch.Call(unix.SYS_MOUNT, launch.Int(0), launch.Str("/"), launch.Int(0), launch.Int(r.rootPropagation()|unix.MS_REC), launch.Int(0)))
}

func propagationName(flags uintptr) string {
	for _, w := range []string{"private", "slave", "shared", "unbindable"} {
		if flags&Propagation(w) != 0 {
			return w
		}
	}
	return "slave"
}

// parentPrivate keeps the bind of the root from being propagated when all else is to stay shared.
func (r *Root) parentPrivate() launch.Step {
	return child("make "+r.ParentMount+" private", "the root file system lies on it; rootfsPropagation keeps the rest shared",
		launch.Call(unix.SYS_MOUNT, launch.Int(0), launch.Str(r.ParentMount), launch.Int(0), launch.Int(unix.MS_PRIVATE), launch.Int(0)))
}

// bindItself makes the root file system a mount point and opens it: every path of the container is resolved below this descriptor.
func (r *Root) bindItself() launch.Step {
	return child("bind "+r.Root+" on itself", "pivot_root(2): EBUSY unless new_root is a mount point",
		launch.Call(unix.SYS_UMASK, launch.Int(0)),
		launch.Call(unix.SYS_OPEN_TREE, atCwd, launch.Str(r.Root), launch.Int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).Into(r.root),
		launch.Call(unix.SYS_MOVE_MOUNT, r.root, launch.Str(""), atCwd, launch.Str(r.Root), launch.Int(unix.MOVE_MOUNT_F_EMPTY_PATH)),
	)
}

// workdir makes the working directory while that is still possible; whether the program can enter it is asked for later.
func (r *Root) workdir() []launch.Step {
	if relative(r.Workdir) == "." {
		return nil
	}
	return []launch.Step{child("make the working directory "+clean(r.Workdir), "config.json process.cwd; the root file system will be read-only",
		append(r.open(nil, r.Workdir, directory), closeSlot(r.target))...)}
}

func (r *Root) readonlyRoot() launch.Step {
	return child("make the root file system read-only", "config.json root.readonly; last, so that mount points could be made",
		setattr(r.root, 0, unix.MOUNT_ATTR_RDONLY, 0, 0))
}

// Pivot lists the steps that exchange the root. Afterwards the host's files have no name here.
func (r *Root) Pivot() ([]launch.Step, error) {
	if r.OnHost {
		return []launch.Step{r.chroot()}, nil
	}
	if r.NoPivot {
		return append([]launch.Step{r.moveRoot()}, r.finish()...), nil
	}
	code, err := pivotCode(r.root, r.dir)
	if err != nil {
		return nil, err
	}
	return append([]launch.Step{
		child("pivot_root . .", "pivot_root(2): the old root is stacked on the new one, no directory is needed in the image", code...),
		r.letGo(),
	}, r.finish()...), nil
}

// pivotCode exchanges the root mount of the namespace for the one that root refers to, and ends in the old root's directory, so
// that it can be let go. pivot_root(".", ".") stacks one on the other: no directory in the image is needed to hold the old one
// (pivot_root(2), NOTES). Before this, / is private or a slave, and the new root is a mount point. old is a free register.
func pivotCode(root, old launch.Slot) ([]launch.Instr, error) {
	//ex:begin rootfs.pivot
	return []launch.Instr{
		launch.Call(unix.SYS_OPENAT, atCwd, launch.Str("/"), launch.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Into(old),
		launch.Call(unix.SYS_FCHDIR, root),
		launch.Call(unix.SYS_PIVOT_ROOT, launch.Str("."), launch.Str(".")),
		launch.Call(unix.SYS_FCHDIR, old),
	}, nil
	//ex:stub
	// return nil, todo.Exercise("rootfs.pivot")
	//ex:end rootfs.pivot
}

// letGo unmounts the old root. It is made a slave first: unmounting a shared tree would unmount the host's.
func (r *Root) letGo() launch.Step {
	return child("unmount the old root, lazily", "from here on the host's files cannot be named",
		launch.Call(unix.SYS_MOUNT, launch.Int(0), launch.Str("."), launch.Int(0), launch.Int(unix.MS_SLAVE|unix.MS_REC), launch.Int(0)),
		launch.Call(unix.SYS_UMOUNT2, launch.Str("."), launch.Int(unix.MNT_DETACH)),
		launch.Call(unix.SYS_CHDIR, launch.Str("/")),
		closeSlot(r.dir), closeSlot(r.root), // or the working directory could be asked for by their numbers
	)
}

// moveRoot is what switch_root(8) does, for a root file system that cannot be pivoted away from: an initramfs.
func (r *Root) moveRoot() launch.Step {
	return child("move the root over / and chroot", "--no-pivot: an initramfs is no mount that pivot_root(2) could move; the host's /proc and /sys go, or with them in sight the container could mount bare ones",
		launch.Call(unix.SYS_UMOUNT2, launch.Str("/proc"), launch.Int(unix.MNT_DETACH)).At("proc").Goto("proc").On(unix.EINVAL, "proc gone").On(unix.ENOENT, "proc gone"), // there may be several, stacked
		launch.Jump("").At("proc gone"),
		launch.Call(unix.SYS_UMOUNT2, launch.Str("/sys"), launch.Int(unix.MNT_DETACH)).At("sys").Goto("sys").On(unix.EINVAL, "sys gone").On(unix.ENOENT, "sys gone"), // there may be several, stacked
		launch.Jump("").At("sys gone"),
		launch.Call(unix.SYS_FCHDIR, r.root),
		launch.Call(unix.SYS_MOUNT, launch.Str("."), launch.Str("/"), launch.Int(0), launch.Int(unix.MS_MOVE), launch.Int(0)),
		launch.Call(unix.SYS_CHROOT, launch.Str(".")),
		launch.Call(unix.SYS_CHDIR, launch.Str("/")),
	)
}

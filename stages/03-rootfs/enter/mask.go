package enter

import (
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// maskedPaths hides paths: a file by /dev/null, a directory by an empty read-only tmpfs. What does not exist needs no mask.
func (r *Root) maskedPaths() []launch.Step {
	if len(r.MaskedPaths) == 0 {
		return nil
	}
	code := []launch.Instr{launch.Call(unix.SYS_OPENAT, atCwd, launch.Str("/dev/null"), launch.Int(unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW)).Into(r.null)}
	steps := []launch.Step{child("open the host's /dev/null (1:3)", "what is bound over masked files is verified, not trusted (CVE-2025-31133)",
		append(code, expectDevice(r.null, unix.S_IFCHR, 1, 3)...)...)}
	seen := map[string]bool{}
	for _, p := range r.MaskedPaths {
		if seen[relative(p)] { // a second mask would hide the first
			continue
		}
		seen[relative(p)] = true
		steps = append(steps, child("mask "+p, "config.json linux.maskedPaths",
			openIn(r.root, relative(p), unix.O_PATH, inRoot, r.target, "open").On(unix.ENOENT, launch.Next).On(unix.ENOTDIR, launch.Next),
			clone(r.null, 0, r.tree),
			attach(r.tree, r.target).On(unix.ENOTDIR, "directory").On(unix.EINVAL, "directory").Goto("done"),
			launch.Call(unix.SYS_FCHDIR, r.target).At("directory"),
			launch.Call(unix.SYS_MOUNT, launch.Str("tmpfs"), launch.Str("."), launch.Str("tmpfs"), launch.Int(unix.MS_RDONLY), launch.Str("")),
			closeSlot(r.tree).At("done"), closeSlot(r.target)))
	}
	return steps
}

// readonlyPaths puts a read-only copy of the mount over each path.
func (r *Root) readonlyPaths() []launch.Step {
	var steps []launch.Step
	for _, p := range r.ReadonlyPaths {
		steps = append(steps, child("make "+p+" read-only", "config.json linux.readonlyPaths",
			openIn(r.root, relative(p), unix.O_PATH, inRoot, r.target, "open").On(unix.ENOENT, launch.Next).On(unix.ENOTDIR, launch.Next),
			clone(r.target, unix.AT_RECURSIVE, r.tree),
			setattr(r.tree, unix.AT_RECURSIVE, unix.MOUNT_ATTR_RDONLY, 0, 0),
			attach(r.tree, r.target), closeSlot(r.tree), closeSlot(r.target)))
	}
	return steps
}

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
		steps = append(steps, child("mask "+p, "config.json linux.maskedPaths", r.mask(p)...))
	}
	return append(steps, child("let go of what masks", "an open directory could be asked for as the working directory (CVE-2024-21626)",
		closeSlot(r.null), launch.Have(r.empty).On(unix.EPIPE, launch.Next), closeSlot(r.empty)))
}

// mask hides one path. The first directory gets a new tmpfs, by its descriptor, and the others the same one: each would cost the
// kernel's memory and time. Trying /dev/null on a directory would cost time as well: a copy of a mount that is not mounted makes the
// kernel wait for all processors when it goes (synchronize_rcu in namespace_unlock).
func (r *Root) mask(path string) []launch.Instr {
	return []launch.Instr{
		openIn(r.root, relative(path), unix.O_PATH|unix.O_DIRECTORY, inRoot, r.target, "open").On(unix.ENOENT, launch.Next).On(unix.ENOTDIR, "file").Goto("directory"),
		openIn(r.root, relative(path), unix.O_PATH, inRoot, r.target, "file").On(unix.ENOENT, launch.Next).On(unix.ENOTDIR, launch.Next),
		clone(r.null, 0, r.tree),
		attach(r.tree, r.target).Goto("done"),
		launch.Have(r.empty).At("directory").On(unix.EPIPE, "first"),
		clone(r.empty, 0, r.tree),
		attach(r.tree, r.target).Goto("done"),
		launch.Call(unix.SYS_FSOPEN, launch.Str("tmpfs"), launch.Int(unix.FSOPEN_CLOEXEC)).Into(r.tree).At("first"),
		launch.Call(unix.SYS_FSCONFIG, r.tree, launch.Int(unix.FSCONFIG_SET_FLAG), launch.Str("ro"), launch.Int(0), launch.Int(0)),
		launch.Call(unix.SYS_FSCONFIG, r.tree, launch.Int(unix.FSCONFIG_CMD_CREATE), launch.Int(0), launch.Int(0), launch.Int(0)),
		launch.Call(unix.SYS_FSMOUNT, r.tree, launch.Int(unix.FSMOUNT_CLOEXEC), launch.Int(unix.MOUNT_ATTR_RDONLY)).Into(r.empty),
		attach(r.empty, r.target),
		closeSlot(r.tree).At("done"), closeSlot(r.target),
	}
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

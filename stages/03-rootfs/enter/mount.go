package enter

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// mount lists the steps of one mount.
func (r *Root) mount(i int, m Mount) []launch.Step {
	because := fmt.Sprintf("config.json mounts[%d]", i)
	if m.Flags&unix.MS_REMOUNT != 0 {
		return []launch.Step{r.remount(m, because)}
	}
	if m.Bind() && r.sent(m) {
		return []launch.Step{r.sendSource(m), r.bind(m, because)}
	}
	if m.Bind() {
		return []launch.Step{r.bind(m, because)}
	}
	if m.CopyUp {
		return []launch.Step{r.sendCopy(m), r.attachCopy(m, because)}
	}
	steps := []launch.Step{r.newMount(m, because)}
	if len(m.Propagation) > 0 || m.RecSet|m.RecClear != 0 {
		steps = append(steps, r.adjust(m, because))
	}
	return steps
}

// newMount is a new instance of a file system. The child changes into the target and mounts on ".": so the kernel mounts on
// exactly the directory that was resolved.
func (r *Root) newMount(m Mount, because string) launch.Step {
	k, flags := directory, m.Flags
	if m.Type == "proc" || m.Type == "sysfs" {
		k = realDirectory // a link here would let the image choose where the kernel's files appear (CVE-2023-27561)
		because += "; not through symbolic links (CVE-2023-27561)"
	}
	if m.late() {
		flags &^= unix.MS_RDONLY
	}
	code := append(r.openFor(nil, m, k),
		launch.Call(unix.SYS_FCHDIR, r.target),
		launch.Call(unix.SYS_MOUNT, launch.Str(cmp.Or(m.Source, m.Type)), launch.Str("."), launch.Str(m.Type), launch.Int(flags), launch.Str(m.Data)),
		closeSlot(r.target),
	)
	return child(fmt.Sprintf("mount %s on %s%s", m.Type, m.Target, m.words()), because, code...)
}

// late tells whether a tmpfs becomes read-only only at the end, because other mounts and devices need directories in it.
func (m Mount) late() bool {
	return m.Type == "tmpfs" && m.Flags&(unix.MS_RDONLY|unix.MS_REMOUNT) == unix.MS_RDONLY && !m.Bind()
}

func (r *Root) makeReadonly(m Mount) launch.Step {
	return child("make "+m.Target+" read-only", "config.json says ro; now nothing more is to be made in it", append(r.open(nil, m.Target, directory),
		setattr(r.target, 0, unix.MOUNT_ATTR_RDONLY, 0, 0), closeSlot(r.target))...)
}

// bind shows a tree of the host. The copy of the mount is detached while it gets its flags, so that it is never seen without them.
func (r *Root) bind(m Mount, because string) launch.Step {
	k, deep := file, uintptr(0)
	if m.SourceIsDir {
		k = directory
	}
	if m.Flags&unix.MS_REC != 0 {
		deep = unix.AT_RECURSIVE
	}
	code := make([]launch.Instr, 0, 2+roomToOpen+6*strings.Count(m.Target, "/"))
	if r.sent(m) {
		code = append(code, r.receive(r.source)...)
	} else {
		code = append(code, launch.Call(unix.SYS_OPEN_TREE, atCwd, launch.Str(m.Source),
			launch.Int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|deep)).Into(r.source))
	}
	if relative(m.Target) == "proc" {
		code = append(code, expectType(r.source, unix.PROC_SUPER_MAGIC)...)
	}
	code = r.openFor(code, m, k)
	code = append(code, r.flags(m, r.source)...)
	code = append(code, attachBind(r.source, r.target)...)
	code = append(code, closeSlot(r.source), closeSlot(r.target))
	return child(fmt.Sprintf("bind %s on %s%s", m.Source, m.Target, m.words()), because, code...)
}

// flags gives a mount its own flags, those of its whole tree, and its propagation. A bind that does not say how it propagates
// follows the mounts of this namespace (propagation), of which it is a copy.
func (r *Root) flags(m Mount, tree launch.Slot) []launch.Instr {
	var code []launch.Instr
	code = append(code, r.exactly(m, tree)...)
	if m.RecSet|m.RecClear != 0 {
		code = append(code, setattr(tree, unix.AT_RECURSIVE, m.RecSet, m.RecClear, 0))
	}
	for _, p := range m.Propagation {
		deep := uintptr(0)
		if p&unix.MS_REC != 0 {
			deep = unix.AT_RECURSIVE
		}
		code = append(code, setattr(tree, deep, 0, 0, uint64(p&^unix.MS_REC)))
	}
	return code
}

// exactly gives a bind the flags that its options say, and no others of those that its source has: as soon as one is said, all
// are (mount(8), --bind; runc does the same, and engines count on it). Those that only the host may take away, because the mount
// came into this user namespace with them (mount_namespaces(7), locked flags), are kept when nothing is said of them; an option
// that takes one away is EPERM.
func (r *Root) exactly(m Mount, tree launch.Slot) []launch.Instr {
	set, clear := attributes(m.Flags)
	unset, _ := attributes(m.Clear)
	unset &^= unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME // "atime" says nothing of how it shall be instead
	if !m.Bind() || set|clear|unset == 0 {
		return nil
	}
	const free = unix.MOUNT_ATTR_NOSYMFOLLOW // never locked
	var code []launch.Instr
	for _, bit := range []uint64{unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR_NOSUID, unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_NOEXEC} {
		if (set|unset)&bit == 0 {
			code = append(code, setattr(tree, 0, 0, bit, 0).Or(unix.EPERM))
		}
	}
	return append(code, setattr(tree, 0, set, clear|(unset|free)&^set, 0))
}

// attachCopy mounts the tmpfs that the parent has filled.
func (r *Root) attachCopy(m Mount, because string) launch.Step {
	code := r.openFor(r.receive(r.source), m, directory)
	code = append(code, r.flags(m, r.source)...)
	return child(fmt.Sprintf("mount %s on %s%s", m.Type, m.Target, m.words()), because+", tmpcopyup",
		append(code, attach(r.source, r.target), closeSlot(r.source), closeSlot(r.target))...)
}

// adjust gives a new mount what mount(2) cannot give it at once.
func (r *Root) adjust(m Mount, because string) launch.Step {
	code := append(r.open(nil, m.Target, directory), r.flags(m, r.target)...)
	return child("set flags of the tree at "+m.Target, because+"; mount_setattr(2)", append(code, closeSlot(r.target))...)
}

// remount changes what is mounted at the target already: its flags, and with options of the file system, or flags that are the file
// system's and not the mount's, that as well. Then mount(2) sets all flags anew, as mount(8) and runc do.
func (r *Root) remount(m Mount, because string) launch.Step {
	const ofFileSystem = unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC | unix.MS_MANDLOCK | unix.MS_LAZYTIME | unix.MS_I_VERSION | unix.MS_SILENT
	code := []launch.Instr{openIn(r.root, relative(m.Target), unix.O_PATH, inRoot, r.target, "open")}
	if !m.Bind() && (m.Data != "" || (m.Flags|m.Clear)&ofFileSystem != 0) {
		code = append(code, launch.Call(unix.SYS_FCHDIR, r.target),
			launch.Call(unix.SYS_MOUNT, launch.Str(cmp.Or(m.Source, m.Type)), launch.Str("."), launch.Str(m.Type), launch.Int(m.Flags), launch.Str(m.Data)))
	} else {
		set, clear := attributes(m.Flags)
		unset, _ := attributes(m.Clear)
		if unset&unix.MOUNT_ATTR__ATIME != 0 || m.Clear&unix.MS_RELATIME != 0 {
			unset |= unix.MOUNT_ATTR__ATIME // the three ways to keep access times are one field
		}
		code = append(code, setattr(r.target, 0, set, clear|unset&^set, 0))
	}
	code = append(code, r.flags(Mount{Options: Options{Propagation: m.Propagation, RecSet: m.RecSet, RecClear: m.RecClear}}, r.target)...)
	return child(fmt.Sprintf("remount %s%s", m.Target, m.words()), because, append(code, closeSlot(r.target))...)
}

// words describes the flags for whoever reads the list.
func (m Mount) words() string {
	var list []string
	for _, f := range []struct {
		flag uintptr
		word string
	}{{unix.MS_RDONLY, "ro"}, {unix.MS_NOSUID, "nosuid"}, {unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"}} {
		if m.Flags&f.flag != 0 {
			list = append(list, f.word)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, " ") + ")"
}

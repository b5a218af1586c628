package enter

import (
	"fmt"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// DefaultDevices are those that every container has (runtime-spec config-linux.md, "Default Devices").
func DefaultDevices() []Device {
	char := func(name string, major, minor uint32) Device {
		return Device{Path: "/dev/" + name, Type: unix.S_IFCHR, Major: major, Minor: minor, Mode: 0o666}
	}
	return []Device{
		char("null", 1, 3), char("zero", 1, 5), char("full", 1, 7), char("random", 1, 8), char("urandom", 1, 9), char("tty", 5, 0),
	}
}

// DefaultLinks are the links of runtime-linux.md, "Dev symbolic links", and ptmx, which leads into the container's own devpts.
func DefaultLinks() []Link {
	return []Link{
		{Target: "pts/ptmx", Path: "/dev/ptmx"},
		{Target: "/proc/self/fd", Path: "/dev/fd"},
		{Target: "/proc/self/fd/0", Path: "/dev/stdin"},
		{Target: "/proc/self/fd/1", Path: "/dev/stdout"},
		{Target: "/proc/self/fd/2", Path: "/dev/stderr"},
		{Target: "/proc/kcore", Path: "/dev/core", IfThere: true},
	}
}

func (r *Root) devices() []launch.Step {
	var steps []launch.Step
	for i, d := range r.Devices {
		if r.BindDevices {
			steps = append(steps, r.bindNode(d, r.nodes[i]))
		} else {
			steps = append(steps, r.makeNode(d))
		}
	}
	if len(r.Links) > 0 {
		steps = append(steps, r.links())
	}
	return steps
}

// makeNode makes a device in a directory that is resolved first; mknodat(2) never follows a link in the last component.
func (r *Root) makeNode(d Device) launch.Step {
	dir, name := split(d.Path)
	code := r.open(nil, dir, directory)
	dev := unix.Mkdev(d.Major, d.Minor)
	code = append(code,
		launch.Call(unix.SYS_UNLINKAT, r.target, launch.Str(name), launch.Int(0)).Or(unix.ENOENT),
		launch.Call(unix.SYS_MKNODAT, r.target, launch.Str(name), launch.Int(d.Type|d.Mode), launch.Int(dev)))
	if d.UID != 0 || d.GID != 0 {
		code = append(code, launch.Call(unix.SYS_FCHOWNAT, r.target, launch.Str(name), launch.Int(d.UID), launch.Int(d.GID), launch.Int(unix.AT_SYMLINK_NOFOLLOW)))
	}
	return child(fmt.Sprintf("make %s %s (%d:%d)", typeName(d.Type), d.Path, d.Major, d.Minor), "runtime-spec config-linux.md, devices", append(code, closeSlot(r.target))...)
}

// bindNode shows the host's node. The parent has opened and verified it, or the child does.
func (r *Root) bindNode(d Device, tree launch.Slot) launch.Step {
	code := r.openOutsideProc(nil, d.Path, file)
	if tree == 0 {
		tree = r.tree
		code = append(code, launch.Call(unix.SYS_OPEN_TREE, atCwd, launch.Str(d.Path),
			launch.Int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)).Into(tree))
		code = append(code, expectDevice(tree, d.Type, d.Major, d.Minor)...)
	}
	code = append(code, attach(tree, r.target), closeSlot(tree), closeSlot(r.target))
	return child(fmt.Sprintf("bind the host's %s (%d:%d)", d.Path, d.Major, d.Minor), "user_namespaces(7): mknod is not allowed inside", code...)
}

// links makes all symbolic links of one directory in one go: they lie in /dev. One that leads to a file of the kernel's that this
// kernel does not have (/proc/kcore, CONFIG_PROC_KCORE) is left out, as runc does.
func (r *Root) links() launch.Step {
	code := r.open(nil, "/dev", realDirectory)
	names := make([]string, 0, len(r.Links))
	var here launch.Label // for the next instruction
	for _, l := range r.Links {
		_, name := split(l.Path)
		names = append(names, name)
		link := launch.Call(unix.SYS_SYMLINKAT, launch.Str(l.Target), r.target, launch.Str(name)).Or(unix.EEXIST).At(here)
		here = ""
		if l.IfThere {
			here = launch.Label("after " + name)
			code = append(code, launch.Call(unix.SYS_FACCESSAT, atCwd, launch.Str(l.Target), launch.Int(unix.F_OK)).At(link.Label).On(unix.ENOENT, here))
			link = link.At("")
		}
		code = append(code, link)
	}
	return child("link "+strings.Join(names, " ")+" in /dev", "runtime-spec runtime-linux.md, dev symbolic links", append(code, closeSlot(r.target).At(here))...)
}

func split(path string) (dir, name string) {
	path = clean(path)
	i := strings.LastIndexByte(path, '/')
	return path[:i+1], path[i+1:]
}

func typeName(t uint32) string {
	switch t {
	case unix.S_IFBLK:
		return "block device"
	case unix.S_IFIFO:
		return "pipe"
	}
	return "device"
}

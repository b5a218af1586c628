package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// External is something of the host's that a container shows: a checkpoint must not copy it, and a restore has to find it again.
type External struct {
	Target   string // where config.json wants it, absolute inside
	Source   string // what it is, on the host
	Readonly bool
	Masked   bool // a masked path: if it was a file, /dev/null lies on it
	Optional bool // not every kernel or image has it
}

// Externals lists them, from the configuration alone: what a path inside leads to is the container's to decide, and is no name
// for something of the host's (CVE-2026-119101). Two things at one place, or names that would end a name in criu's own
// notation, are refused.
func Externals(s *specs.Spec, facts Facts) ([]External, error) {
	config, err := restoreCompiler(s, facts).rootConfig()
	if err != nil {
		return nil, err
	}
	var list []External
	for _, m := range config.Mounts {
		if m.Bind() && m.Flags&unix.MS_REMOUNT == 0 {
			list = append(list, External{Target: m.Target, Source: m.Source, Readonly: m.Flags&unix.MS_RDONLY != 0})
		}
	}
	if config.BindDevices {
		for _, d := range config.Devices {
			list = append(list, External{Target: d.Path, Source: d.Path, Optional: true})
		}
	}
	for _, p := range config.MaskedPaths {
		list = append(list, External{Target: p, Source: "/dev/null", Masked: true, Optional: true})
	}
	return list, checkExternals(list)
}

func checkExternals(list []External) error {
	for i, e := range list {
		if err := CheckExternalName(e.Target); err != nil {
			return err
		}
		if err := CheckExternalName(e.Source); err != nil {
			return err
		}
		if slices.ContainsFunc(list[:i], func(o External) bool { return o.Target == e.Target && !e.Masked }) {
			return fmt.Errorf("two mounts on %s: criu cannot tell them apart", e.Target)
		}
	}
	return nil
}

// CheckExternalName refuses paths that criu would take apart at the wrong place: it writes a mount as "mnt[PATH]:NAME".
func CheckExternalName(p string) error {
	if strings.Contains(p, "]:") || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("path %q cannot be a name for criu", p)
	}
	return nil
}

// restoreCompiler knows of no console and no gate: nothing is started.
func restoreCompiler(s *specs.Spec, facts Facts) *compiler {
	proc := *s.Process
	proc.Terminal, proc.ConsoleSize = false, nil
	return &compiler{spec: s, proc: &proc, facts: facts, plan: &Plan{Plan: &launch.Plan{}}}
}

// MountPoints lists the steps that make, in the root file system and in what is bound into it, the directories and files that
// the container's mounts lie on, as create does, with all its care. The child does it in a mount namespace that ends with it.
func MountPoints(s *specs.Spec, facts Facts) (*launch.Plan, error) {
	c := restoreCompiler(s, facts)
	config, err := c.rootConfig()
	if err != nil {
		return nil, err
	}
	root := enter.New(config, &c.slots)
	p := new(launch.Plan).Add(root.Prepare()...)
	p.Add(launch.Step{Name: "clone3 mount pid ipc", Because: "nothing of it is seen outside", Clone: &launch.Clone{Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC}})
	p.Add(root.Fill()...)
	return p.Add(
		launch.Step{Name: "all mount points are there", Do: func(*launch.Run) error { return nil }, Returns: true},
		child("leave", "the mounts go with the namespace, what they lie on stays", launch.Call(unix.SYS_EXIT_GROUP, launch.Int(0))),
	), nil
}

// CRIU lists the steps that start "criu swrk 3" in a mount namespace of its own, in which the root file system is a mount point at
// root, as criu wants it, and what the container may only read cannot be written by anybody. files become its descriptors 3, 4, …
func CRIU(program, rootfs, root string, list []External, files func(*launch.Run, []launch.Slot) error, n int) *launch.Plan {
	var slots enter.Slots
	given, tree := make([]launch.Slot, n), launch.Slot(0)
	for i := range given {
		given[i] = slots.Take()
	}
	tree = slots.Take()
	p := new(launch.Plan).Add(
		parent("open what criu inherits", "its socket, and the namespaces that are joined", func(r *launch.Run) error { return files(r, given) }),
		launch.Step{Name: "clone3 mount", Because: "whatever becomes of criu, the host's mount table stays as it is", Clone: &launch.Clone{Flags: unix.CLONE_NEWNS}},
		child("make / slave, recursively", "mount_namespaces(7)", launch.Call(unix.SYS_MOUNT, launch.Str("none"), launch.Str("/"), launch.Int(0), launch.Int(unix.MS_REC|unix.MS_SLAVE), launch.Int(0))),
		child("bind "+rootfs+" on "+root, "criu(8), --root: it must be a mount point", launch.Call(unix.SYS_MOUNT, launch.Str(rootfs), launch.Str(root), launch.Int(0), launch.Int(unix.MS_BIND|unix.MS_REC), launch.Int(0))),
	)
	for _, e := range list {
		if e.Readonly && !sharedWritable(e, list) {
			p.Add(readonlySource(e.Source, tree))
		}
	}
	code := []launch.Instr{}
	far := launch.Int(3 + n) // out of the way first: a descriptor may already have another's number
	for i := range given {
		code = append(code, launch.Call(unix.SYS_FCNTL, given[i], launch.Int(unix.F_DUPFD_CLOEXEC), far).Into(given[i]))
	}
	for i := range given {
		code = append(code, launch.Call(unix.SYS_DUP3, given[i], launch.Int(3+i), launch.Int(0)))
	}
	return p.Add(child("give criu its descriptors", "criu(8), swrk", code...), launch.CloseOnExec(uintptr(3+n)),
		launch.Step{Name: "execve " + program, Because: "criu(8)", Side: launch.Child, Code: []launch.Instr{
			launch.Call(unix.SYS_EXECVE, launch.Str(program), launch.Strs{program, "swrk", "3"}, launch.Strs{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}),
		}})
}

// sharedWritable tells whether the same thing is shown writable elsewhere.
func sharedWritable(e External, list []External) bool {
	return slices.ContainsFunc(list, func(o External) bool {
		return !o.Readonly && (o.Source == e.Source || strings.HasPrefix(o.Source, strings.TrimSuffix(e.Source, "/")+"/"))
	})
}

// readonlySource puts a read-only view of a tree over itself.
func readonlySource(source string, tree launch.Slot) launch.Step {
	data := launch.Buf(32) // struct mount_attr, attr_set first
	binary.NativeEndian.PutUint64(data.Data, unix.MOUNT_ATTR_RDONLY)
	return child("make "+source+" read-only for criu", "config.json says ro: not even for a moment shall it be otherwise (CVE-2026-119101)",
		launch.Call(unix.SYS_OPEN_TREE, atCwd, launch.Str(source), launch.Int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).Into(tree),
		launch.Call(unix.SYS_MOUNT_SETATTR, tree, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), data, launch.Int(32)),
		launch.Call(unix.SYS_MOVE_MOUNT, tree, launch.Str(""), atCwd, launch.Str(source), launch.Int(unix.MOVE_MOUNT_F_EMPTY_PATH)),
		launch.Call(unix.SYS_CLOSE, tree))
}

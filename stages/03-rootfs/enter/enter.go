// Package enter says, as launch steps, how a process moves into a root file system: the tree is made its own, filled with
// mounts, devices and links, parts of it are hidden, and the old root is let go (pivot_root(2)).
//
// Everything is pure: a Config in, steps out. The steps are raw system calls on descriptors: a path inside the root file
// system is hostile, so it is resolved once, by openat2 with RESOLVE_IN_ROOT, and what is mounted is mounted on the
// descriptor (CVE-2021-30465, CVE-2019-19921).
//
// Reading order: enter.go, mount.go, pivot.go.
package enter

import (
	"os"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// Config is a root file system and what shall be in it. Paths below it are absolute as its programs see them.
type Config struct {
	Root     string // absolute path on the host
	Readonly bool
	Workdir  string // made, when it is missing, before a read-only root forbids it; may be empty
	OnHost   bool   // the process stays in its creator's mount namespace: what is mounted is mounted there, below Root
	NoPivot  bool   // move the root over / and chroot, for roots on an initramfs (pivot_root(2))

	Propagation   uintptr // MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC for the mounts below the root too; 0: MS_SLAVE
	ParentMount   string  // the mount that Root lies on; needed only with MS_SHARED
	Mounts        []Mount
	Devices       []Device
	BindDevices   bool // bind the host's device nodes: a user namespace may not make any (user_namespaces(7))
	ParentOpens   bool // the parent, root of the host, opens the sources of binds and devices, because the child's ids might not reach them
	Links         []Link
	MaskedPaths   []string
	ReadonlyPaths []string
	Console       *Console
}

// Mount is one mount, in the words of mount(2).
type Mount struct {
	Source string
	Target string
	Type   string
	Options
	SourceIsDir bool // of a bind
	OverProc    bool // it may cover a file of procfs, which nothing else may (CVE-2019-16884)
	IDs         *IDs // of a bind that shows its files with other ids; nil: it does not
}

// IDs maps the owners of a mount's files (mount_setattr(2), "ID-mapped mounts"). The parent does it, as root of the host.
type IDs struct {
	Users func() (*os.File, error) // a user namespace with the map
	Deep  bool                     // for the mounts below it, too
}

// Device is a node that mknod(2) makes.
type Device struct {
	Path         string
	Type         uint32 // unix.S_IFCHR, S_IFBLK or S_IFIFO
	Major, Minor uint32
	Mode         uint32
	UID, GID     uint32
}

// Link is a symbolic link.
type Link struct {
	Target, Path string
	IfThere      bool // make it only if the host has the target
}

// Slots hands out the child's registers.
type Slots struct{ last launch.Slot }

// maxSlot is the last register that launch leaves to plans.
const maxSlot = 61

// Take returns a register that nobody has, or 0 when there is none left.
func (s *Slots) Take() launch.Slot {
	if s.last == maxSlot {
		return 0
	}
	s.last++
	return s.last
}

// Root is a Config with the registers that its steps share.
type Root struct {
	Config
	root, target, dir, tree launch.Slot
	source                  launch.Slot         // the tree that a bind shows
	null, empty             launch.Slot         // what masks files, what masks directories
	nodes                   map[int]launch.Slot // of Devices that the parent opens
	mail                    launch.Slot         // the child's end of the socket over which the parent sends descriptors
	mailbox                 *os.File            // the parent's end
	expected, letters       int                 // how many it will send, and how many steps say so yet
	ConsoleSlots
}

// New prepares the steps of a root.
func New(c Config, s *Slots) *Root {
	r := &Root{Config: c, root: s.Take(), target: s.Take(), dir: s.Take(), tree: s.Take(), source: s.Take(), null: s.Take(), empty: s.Take()}
	if c.Console != nil {
		r.Master, r.Terminal = s.Take(), s.Take()
	}
	r.nodes = map[int]launch.Slot{}
	for _, m := range c.Mounts {
		if r.sent(m) {
			r.expected++
		}
	}
	if r.expected > 0 {
		r.mail = s.Take()
	}
	for i := range c.Devices {
		if c.BindDevices && c.ParentOpens {
			r.nodes[i] = s.Take()
		}
	}
	return r
}

// Prepare lists the parent's steps before the clone: opening what the child could not.
func (r *Root) Prepare() []launch.Step {
	var steps []launch.Step
	if r.OnHost && !r.bare() {
		steps = append(steps, r.bindOnHost())
	}
	if r.expected > 0 {
		steps = append(steps, r.openMail())
	}
	for i, d := range r.Devices {
		if s := r.nodes[i]; s != 0 {
			steps = append(steps, openNode(d, s))
		}
	}
	return steps
}

// Fill lists the child's steps up to the pivot: the host's files can still be named while they run.
func (r *Root) Fill() []launch.Step {
	steps := r.mountPoint()
	for i, m := range r.Mounts {
		steps = append(steps, r.mount(i, m)...)
	}
	steps = append(steps, r.devices()...)
	if r.Console != nil {
		steps = append(steps, r.console()...)
	}
	for _, m := range r.Mounts {
		if m.late() {
			steps = append(steps, r.makeReadonly(m))
		}
	}
	if r.Readonly {
		steps = append(append(steps, r.workdir()...), r.readonlyRoot())
	}
	steps = append(steps, r.readonlyPaths()...)
	return append(steps, r.maskedPaths()...)
}

// mountPoint lists what makes the root file system a mount that nobody else sees changes in.
func (r *Root) mountPoint() []launch.Step {
	if r.OnHost {
		return []launch.Step{r.openRoot()}
	}
	steps := []launch.Step{r.propagation()}
	if r.Propagation&unix.MS_SHARED != 0 {
		steps = append(steps, r.parentPrivate())
	}
	return append(steps, r.bindItself())
}

// child is a step that raw system calls perform.
func child(name, because string, code ...launch.Instr) launch.Step {
	return launch.Step{Name: name, Because: because, Side: launch.Child, Code: code}
}

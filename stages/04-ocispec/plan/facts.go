// Package plan compiles config.json to a launch plan. It is pure: a configuration and facts about the machine in, a list of
// steps out; nothing is opened, run or changed until launch.Start performs the list.
//
// Reading order: create.go (the list), identity.go (who the program is), program.go (how it begins).
package plan

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
)

// Facts are what a plan depends on besides the configuration.
type Facts struct {
	Arch        specs.Arch                 // of the machine, as seccomp names it
	Bounding    caps.Mask                  // our own bounding set: nobody can be given more
	Permitted   caps.Mask                  // what the child has until it gives it up
	Rootless    bool                       // we are not root of the host
	NoGroups    bool                       // this user namespace denies setgroups(2), and with it all below (user_namespaces(7), /proc/PID/setgroups)
	NoFile      [2]uint64                  // RLIMIT_NOFILE, soft and hard, as we were given it
	OOMScore    *int                       // our own oom_score_adj, with which the child is born; nil: not known
	Files       map[string]bool            // sources of binds that are not directories
	Modes       map[string]uint32          // permissions of directories in the image that a tmpfs will cover
	Targets     map[string]string          // where in the image a mount's target lies that is behind a dangling link
	Home        string                     // the user's home directory in the container's passwd
	ParentMount string                     // the mount that the root file system lies on
	Cgroup      CgroupFacts                // the machine's hierarchies
	AppArmor    bool                       // the kernel enforces AppArmor profiles
	SELinux     bool                       // the kernel has a SELinux policy
	Join        []specs.LinuxNamespaceType // exec: the kinds in which the container's namespace is not ours
	Inside      caps.Mask                  // exec: the bounding set of the container's first process
}

// JoinsPIDInside tells whether the child joins the container's pid namespace, and not the thread that clones it: then it can close
// the host's files before anybody inside sees it. That takes a second clone, so it is for containers in which somebody may
// trace the host's root: CAP_SYS_PTRACE without a user namespace (CVE-2016-9962); elsewhere an undumpable process is safe. A
// security label keeps tracers away too, and is written to a file that belongs to the process that opens it. An ordinary user has no
// other way: he may join only inside the container's user namespace.
func (f *Facts) JoinsPIDInside(p *specs.Process) bool {
	if !slices.Contains(f.Join, specs.PIDNamespace) {
		return false
	}
	if slices.Contains(f.Join, specs.UserNamespace) {
		return f.Rootless
	}
	return f.Inside&(1<<unix.CAP_SYS_PTRACE) != 0 && p.ApparmorProfile == "" && p.SelinuxLabel == ""
}

// CgroupFacts are what a plan must know of the machine's cgroup hierarchies.
type CgroupFacts struct {
	Path    string        // of the container, absolute in each hierarchy; empty: it gets none of its own
	Born    bool          // the child is born in its group (v2, CLONE_INTO_CGROUP)
	Moved   bool          // the child is moved there by systemd, as the caller may not
	Kept    bool          // a process of ours keeps the group, a systemd scope, until the child is there
	Files   int           // how many files the child writes itself into to be in its groups (v1)
	V2      bool          // a mount of type cgroup shows the one tree of v2
	Dir     string        // v2: the container's directory on the host
	Mounted []CgroupMount // otherwise it shows these
}

// CgroupMount is one v1 hierarchy as a container sees it.
type CgroupMount struct {
	Name  string   // directory below /sys/fs/cgroup
	Group string   // the container's directory on the host, for a bind
	Data  string   // mount options, when the container has a cgroup namespace
	Links []string // other names, when several controllers share the hierarchy
}

// Request is what the command line adds.
type Request struct {
	ID            string
	ConsoleSocket bool
	Foreground    bool // the runtime itself is behind the console socket
	PreserveFDs   int  // descriptors 3, 4, … that the program gets
	NoPivot       bool
	NoNewKeyring  bool
}

// Acts are the parent's steps that touch more than the child: they belong to package runtime. An explained plan has none.
type Acts struct {
	MakeCgroup    func(*launch.Run) error
	RemoveCgroup  func(*launch.Run) error
	OpenCgroup    func(*launch.Run, launch.Slot) error
	JoinFiles     func(*launch.Run, []launch.Slot) error
	MoveIn        func(*launch.Run) error
	Settle        func(*launch.Run) error // end the process that has kept the group
	ConsoleSocket func(*launch.Run, launch.Slot) error
	Attach        func(*launch.Run) error // take the terminal's master that the child has sent
	Listen        func(*launch.Run, launch.Slot) error
	RuntimeHooks  func(*launch.Run) error // prestart, createRuntime
	InsideHooks   func(*launch.Run) error // createContainer
	Record        func(*launch.Run) error
	JoinResctrl   func(*launch.Run) error
	LeaveResctrl  func(*launch.Run) error
	Streams       func(r *launch.Run, in, out launch.Slot) error // a hook's
	Listener      func(*launch.Run, launch.Slot) error           // exec: give the seccomp listener to its agent
	OpenMail      func(*launch.Run, launch.Slot) error           // exec by an ordinary user: where the listener is sent to
	CloseMail     func(*launch.Run) error
	OpenTarget    func(*launch.Run, launch.Slot) error // exec: the container's pidfd
}

// flag is the CLONE_NEW* of a namespace kind.
func flag(kind specs.LinuxNamespaceType) uintptr {
	switch kind {
	case specs.PIDNamespace:
		return unix.CLONE_NEWPID
	case specs.NetworkNamespace:
		return unix.CLONE_NEWNET
	case specs.MountNamespace:
		return unix.CLONE_NEWNS
	case specs.IPCNamespace:
		return unix.CLONE_NEWIPC
	case specs.UTSNamespace:
		return unix.CLONE_NEWUTS
	case specs.UserNamespace:
		return unix.CLONE_NEWUSER
	case specs.CgroupNamespace:
		return unix.CLONE_NEWCGROUP
	case specs.TimeNamespace:
		return unix.CLONE_NEWTIME
	}
	return 0
}

func parent(name, because string, do func(*launch.Run) error) launch.Step {
	return launch.Step{Name: name, Because: because, Do: do}
}

func child(name, because string, code ...launch.Instr) launch.Step {
	return launch.Step{Name: name, Because: because, Side: launch.Child, Code: code}
}

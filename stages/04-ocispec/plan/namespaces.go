package plan

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// joinedNamespace is a namespace that config.json gives a path for.
type joinedNamespace struct {
	specs.LinuxNamespace
	slot     launch.Slot
	byThread bool     // the thread that clones joins it, for the child to be born in it
	own      *os.File // where the thread was before
}

// joined lists them in the order in which they are joined, the mount namespace after those that its paths could hide. Root of
// the host joins the user namespace last: the others need not belong to it, and from inside nobody may join what does not. An
// ordinary user joins it first: only inside has he the right to join anything.
//
// A pid namespace is joined by the thread that clones: only children are born into it (pid_namespaces(7)). So are all that can
// be when the child gets a user namespace of its own: from inside it, nobody may join what belongs to the host.
func (c *compiler) joined() []*joinedNamespace {
	var user, middle, last []*joinedNamespace
	locked, below := spec.New(c.spec, specs.UserNamespace), c.below()
	for _, n := range c.spec.Linux.Namespaces {
		j := &joinedNamespace{LinuxNamespace: n}
		switch {
		case n.Path == "":
			continue
		case n.Type == specs.UserNamespace:
			user = append(user, j)
		case n.Type == specs.MountNamespace:
			last = append(last, j)
		default:
			j.byThread = n.Type == specs.PIDNamespace && !below || locked && n.Type != specs.TimeNamespace
			middle = append(middle, j)
		}
		if !j.byThread {
			j.slot = c.slots.Take()
		}
		c.plan.Here = c.plan.Here && !j.byThread
	}
	if c.facts.Rootless {
		return slices.Concat(user, middle, last)
	}
	return slices.Concat(middle, last, user)
}

// below tells whether the new namespaces belong to a user namespace that the child must join first. A pid namespace is then
// joined by the child too: the second clone is what makes a member of it.
func (c *compiler) below() bool {
	return slices.ContainsFunc(c.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.UserNamespace && n.Path != ""
	}) && slices.ContainsFunc(c.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Path == "" || n.Type == specs.PIDNamespace
	})
}

// fresh are the namespaces that a clone can make.
func (c *compiler) fresh() (flags uint64, names string) {
	var list []string
	for _, n := range c.spec.Linux.Namespaces {
		if n.Path == "" && !c.later(n.Type) {
			flags |= uint64(flag(n.Type))
			list = append(list, string(n.Type))
		}
	}
	return flags, strings.Join(list, " ")
}

// open opens the namespace and makes sure that it is of its kind.
func (j *joinedNamespace) open() launch.Step {
	if j.byThread {
		return j.joinByThread()
	}
	return parent(fmt.Sprintf("open %s namespace %s", j.Type, j.Path), "its kind is verified: the path could name anything", func(r *launch.Run) error {
		f, err := openNamespace(j.Path, flag(j.Type))
		if err == nil {
			r.Hold(j.slot, f)
		}
		return err
	})
}

func (j *joinedNamespace) joinByThread() launch.Step {
	return parent(fmt.Sprintf("join %s namespace %s", j.Type, j.Path), "setns(2): the child is born in the namespaces of the thread that clones it", func(r *launch.Run) error {
		f, err := openNamespace(j.Path, flag(j.Type))
		if err != nil {
			return err
		}
		defer f.Close()
		r.Taint()
		if j.Type != specs.PIDNamespace {
			if j.own, err = os.Open("/proc/thread-self/ns/" + file(j.Type)); err != nil {
				return err
			}
		}
		return unix.Setns(int(f.Fd()), int(flag(j.Type)))
	})
}

// goBack returns the thread to where it was: hooks are started from it.
func goBack(join []*joinedNamespace) []launch.Step {
	var names []string
	for _, j := range join {
		if j.byThread && j.Type != specs.PIDNamespace {
			names = append(names, string(j.Type))
		}
	}
	if names == nil {
		return nil
	}
	return []launch.Step{parent("return to our own "+strings.Join(names, " ")+" namespaces", "the child has been born; hooks run in the runtime's namespaces", func(*launch.Run) error {
		for _, j := range join {
			if j.own == nil {
				continue
			}
			if err := errors.Join(unix.Setns(int(j.own.Fd()), int(flag(j.Type))), j.own.Close()); err != nil {
				return err
			}
		}
		return nil
	})}
}

// file is the name of a kind below /proc/PID/ns (namespaces(7)).
func file(kind specs.LinuxNamespaceType) string {
	switch kind {
	case specs.NetworkNamespace:
		return "net"
	case specs.MountNamespace:
		return "mnt"
	}
	return string(kind)
}

func openNamespace(path string, kind uintptr) (*os.File, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if st.Type != unix.NSFS_MAGIC { // to open a FIFO or a device could have consequences
		return nil, fmt.Errorf("%s: it is no namespace", path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	got, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err == nil && uintptr(got) != kind {
		err = errors.New("it is a namespace of another kind")
	} else if errors.Is(err, unix.ENOTTY) {
		err = errors.New("it is no namespace")
	}
	if err != nil {
		_ = f.Close() // the first error is the cause
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// members lists what makes the child a member of its namespaces, and root in them.
func (c *compiler) members(join []*joinedNamespace) []launch.Step {
	steps := append([]launch.Step{notDumpable()}, c.labelKeys()...)
	for _, j := range join {
		if !j.byThread {
			steps = append(steps, launch.Setns(j.slot, flag(j.Type), fmt.Sprintf("%s namespace %s", j.Type, j.Path)))
			if j.Type == specs.UserNamespace {
				steps = append(steps, launch.BecomeRoot())
			}
		}
	}
	if spec.New(c.spec, specs.UserNamespace) {
		steps = append(steps, launch.BecomeRoot())
		if spec.New(c.spec, specs.IPCNamespace) {
			steps = append(steps, child("make the ipc namespace", "mq_overview(7): the root of its queues belongs to whoever makes it", launch.Call(unix.SYS_UNSHARE, launch.Int(unix.CLONE_NEWIPC))))
		}
	}
	if c.below() {
		flags, names := c.fresh()
		steps = append(steps, launch.Below(flags, strings.TrimSpace(names+" inside the joined user namespace"),
			"user_namespaces(7): a namespace belongs to the user namespace of whoever makes it; clone(2), CLONE_PARENT: still our child"))
	}
	steps = append(steps, newSession(), defaultActions(), c.holdBack())
	if !c.req.NoNewKeyring {
		steps = append(steps, keyring("a new", c.req.ID))
	}
	if len(c.spec.Linux.TimeOffsets) > 0 {
		steps = append(steps, c.timeOffsets()...)
	}
	return steps
}

func newSession() launch.Step {
	return child("lead a new session", "setsid(2): signals of the caller's terminal are not for the container", launch.Call(unix.SYS_SETSID).Or(unix.EPERM))
}

func notDumpable() launch.Step {
	return child("become undumpable", "prctl(2) PR_SET_DUMPABLE: processes inside cannot trace or inspect us while host files are open (CVE-2016-9962)",
		launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_SET_DUMPABLE), launch.Int(0), launch.Int(0), launch.Int(0), launch.Int(0)))
}

// keyring makes the container's session keyring, or, when exec comes later, joins it.
func keyring(which, id string) launch.Step {
	return child("join "+which+" session keyring", "keyctl(2): keys of the caller's session are not for the container",
		launch.Call(unix.SYS_KEYCTL, launch.Int(unix.KEYCTL_JOIN_SESSION_KEYRING), launch.Str("_ses."+id)).Or(unix.ENOSYS))
}

// timeOffsets makes the time namespace in the child, which then lives in it last: its clocks can only be set while nobody does
// (time_namespaces(7)). The parent sets them, because the child is undumpable and its files in /proc are root's.
func (c *compiler) timeOffsets() []launch.Step {
	text := ""
	for _, clock := range []string{"monotonic", "boottime"} {
		if o, ok := c.spec.Linux.TimeOffsets[clock]; ok {
			text += fmt.Sprintf("%s %d %d\n", clock, o.Secs, o.Nanosecs)
		}
	}
	fd := c.slots.Take()
	return []launch.Step{
		child("make a time namespace", "time_namespaces(7): for children to come, so far", launch.Call(unix.SYS_UNSHARE, launch.Int(unix.CLONE_NEWTIME))),
		parent("shift its clocks", "time_namespaces(7); config.json linux.timeOffsets", func(r *launch.Run) error {
			return writeProc(r.PID(), "timens_offsets", text)
		}),
		child("enter the time namespace", "setns(2)",
			openProc("/proc/self/ns/time_for_children", unix.O_RDONLY, fd),
			launch.Call(unix.SYS_SETNS, fd, launch.Int(unix.CLONE_NEWTIME)),
			launch.Call(unix.SYS_CLOSE, fd)),
	}
}

// openProc opens a file of the host's procfs, while its name still leads there.
func openProc(path string, mode uintptr, into launch.Slot) launch.Instr {
	return launch.Call(unix.SYS_OPENAT, atCwd, launch.Str(path), launch.Int(mode|unix.O_CLOEXEC)).Into(into)
}

// atCwd is AT_FDCWD, -100, as a system call's argument.
const atCwd = launch.Int(^uintptr(99))

// Package isolate compiles a command line such as
//
//	isolate --pid --mount --uts -- sh
//
// into a launch plan. It decides and does nothing: what it returns is the list
// that `isolate --explain` prints.
package isolate

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// Request is what a person asks for.
type Request struct {
	New       []namespace.Kind  // namespaces to create
	Join      []namespace.Kind  // namespaces of process Target to join
	JoinPaths map[string]string // namespaces to join by path, by file name ("net")
	Target    int
	TargetFD  int               // a pidfd of it that this process was given; 0: none
	Ordinary  bool              // the caller is not root: what it may join, it may join only inside the user namespace
	Keep      map[string]string // bind new namespaces to these paths, by file name
	MapRoot   bool              // in a new user namespace, be root
	Maps      Maps              // or these ranges
	Clock     Clock             // offsets of a new time namespace
	MountProc bool              // in a new pid and mount namespace, mount /proc again
	Hostname  string

	Propagation string // of the mounts in a new mount namespace: private (and ""), slave, shared, unchanged
	Root        string // root directory; empty: the caller's
	SetGroups   string // allow, deny, or empty: deny where it must be

	Dir       string // working directory; empty: the caller's
	Program   string // the file to execute; empty: Argv[0], looked for in PATH
	Argv, Env []string
	Nofile    [2]uint64 // soft and hard limit to restore
}

// The slots of a plan made here.
const (
	slotTarget launch.Slot = 1 // pidfd of the process to join
	slotFile   launch.Slot = 2 // a file that the child opens and writes
	slotPaths  launch.Slot = 8 // namespaces opened by path: one slot each
)

// Plan compiles the request. It fails only on requests that contradict
// themselves.
func Plan(r Request) (*launch.Plan, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	p := new(launch.Plan)
	joins := len(r.Join) > 0
	if joins {
		p.Add(joinFromOutside(r)...)
	}
	p.Add(openPaths(r)...)
	born, err := birth(r)
	if err != nil {
		return nil, err
	}
	p.Add(born)
	if slices.ContainsFunc(r.Join, func(k namespace.Kind) bool { return k.File != "pid" }) {
		p.Add(joinInside(r)...)
	}
	p.Add(joinPaths(r)...)
	p.Add(joinPIDInside(r)...)
	p.Add(r.Clock.steps()...)
	p.Add(keep(r)...)
	p.Add(identity(r)...)
	if r.creates("mnt") {
		p.Add(mounts(r)...)
	}
	if r.Hostname != "" {
		p.Add(hostname(r.Hostname)...)
	}
	if r.Root != "" {
		p.Add(chroot(r.Root))
	}
	if r.Dir != "" {
		p.Add(launch.Chdir(r.Dir, "--wd"))
	}
	if r.Nofile[1] != 0 {
		p.Add(launch.NofileLimit(r.Nofile[0], r.Nofile[1]))
	}
	exec := launch.Exec(r.Argv, r.Env, search(r.Env))
	if r.Program != "" {
		exec = launch.ExecAs(r.Program, r.Argv, r.Env)
	}
	return p.Add(launch.CloseOnExec(3), exec), nil
}

func (r Request) check() error {
	switch {
	case r.Clock != Clock{} && !r.creates("time"):
		return fmt.Errorf("--monotonic and --boottime shift the clocks of a new time namespace: --time is missing")
	case len(r.Maps.Users)+len(r.Maps.Groups) > 0 && !r.creates("user"):
		return fmt.Errorf("--map-users and --map-groups without --user have no map to write")
	case len(r.Argv) == 0:
		return fmt.Errorf("no command")
	case r.Propagation != "" && !slices.Contains([]string{"private", "slave", "shared", "unchanged"}, r.Propagation):
		return fmt.Errorf("--propagation %s: want private, slave, shared or unchanged", r.Propagation)
	case r.SetGroups != "" && r.SetGroups != "allow" && r.SetGroups != "deny":
		return fmt.Errorf("--setgroups %s: want allow or deny", r.SetGroups)
	case r.SetGroups == "allow" && r.MapRoot:
		return fmt.Errorf("--setgroups allow and --map-root-user exclude each other: an ordinary user may write gid_map only after deny")
	case r.SetGroups != "" && !r.creates("user"):
		return fmt.Errorf("--setgroups without --user has nothing to set")
	case r.Hostname != "" && !r.creates("uts"):
		return fmt.Errorf("--hostname %s without --uts would rename this machine", r.Hostname)
	case r.MountProc && !r.creates("mnt"):
		return fmt.Errorf("--mount-proc without --mount would replace this machine's /proc")
	case r.MapRoot && !r.creates("user"):
		return fmt.Errorf("--map-root-user without --user has no map to write")
	}
	for _, s := range append([]string{r.Hostname, r.Dir, r.Root}, append(r.Argv, r.Env...)...) {
		if err := launch.CheckString(s); err != nil {
			return fmt.Errorf("%q holds a NUL byte", s)
		}
	}
	return nil
}

func (r Request) creates(file string) bool { return contains(r.New, file) }

func contains(kinds []namespace.Kind, file string) bool {
	for _, k := range kinds {
		if k.File == file {
			return true
		}
	}
	return false
}

// birth is the clone3 that makes all new namespaces at once, so that nothing is
// ever half inside.
func birth(r Request) (launch.Step, error) {
	born := r.New
	if (r.Clock != Clock{}) { // made by the child itself, which must set the offsets before it enters
		born = slices.DeleteFunc(slices.Clone(born), func(k namespace.Kind) bool { return k.File == "time" })
	}
	flags, err := cloneFlags(born)
	var names []string
	for _, k := range born {
		names = append(names, k.File)
	}
	return launch.Step{
		Name:    strings.TrimSpace("clone3 " + strings.Join(names, " ")),
		Because: "clone(2): all new namespaces at once, so nothing is ever half inside",
		Clone:   &launch.Clone{Flags: flags},
	}, err
}

// cloneFlags is the set of CLONE_NEW* bits that ask clone3(2) for new
// namespaces of these kinds.
func cloneFlags(kinds []namespace.Kind) (uint64, error) {
	//ex:begin ns.clone-flags
	var flags uint64
	for _, k := range kinds {
		flags |= uint64(k.Flag)
	}
	return flags, nil
	//ex:stub
	// return 0, todo.Exercise("ns.clone-flags")
	//ex:end ns.clone-flags
}

// mounts makes the copy of the mount tree ours.
func mounts(r Request) []launch.Step {
	steps, asked := propagation(r.Propagation)
	if asked {
		return append(steps, procMount(r)...)
	}
	//ex:begin ns.private-mounts
	steps = append(steps, launch.Private())
	//ex:stub
	// steps = append(steps, launch.Step{Name: "make the mounts private", Do: func(*launch.Run) error { return todo.Exercise("ns.private-mounts") }})
	//ex:end ns.private-mounts
	return append(steps, procMount(r)...)
}

// procMount mounts /proc again, so that it shows the new pid namespace.
func procMount(r Request) []launch.Step {
	if !r.MountProc {
		return nil
	}
	because := "proc(5) shows the pid namespace of whoever mounts it"
	//ex:begin ns.proc-mount
	var flags uintptr
	for _, f := range []uintptr{unix.MS_NOSUID, unix.MS_NODEV, unix.MS_NOEXEC} {
		flags |= f
	}
	return []launch.Step{launch.Mount("proc", "/proc", "proc", flags, "", because)}
	//ex:stub
	// return []launch.Step{{Name: "mount proc", Do: func(*launch.Run) error { return todo.Exercise("ns.proc-mount") }, Because: because}}
	//ex:end ns.proc-mount
}

// hostname names the new uts namespace, from inside.
func hostname(name string) []launch.Step {
	var steps []launch.Step
	//ex:begin ns.hostname
	steps = append(steps, launch.Step{
		Name: "set the hostname to " + name, Because: "uts_namespaces(7): the name is this namespace's own",
		Side: launch.Child,
		Code: []launch.Instr{launch.Call(unix.SYS_SETHOSTNAME, launch.Str(name), launch.Int(len(name)))},
	})
	//ex:stub
	// steps = append(steps, launch.Step{Name: "name the host " + name, Do: func(*launch.Run) error { return todo.Exercise("ns.hostname") }})
	//ex:end ns.hostname
	return steps
}

// joinFromOutside opens the target, and enters its pid namespace with the
// thread that will make the child: setns(2) moves only children born later.
func joinFromOutside(r Request) []launch.Step {
	steps := []launch.Step{{
		Name:    r.target(),
		Because: "pidfd_open(2): the descriptor stays with this process, a pid may be reused",
		Do: func(run *launch.Run) error {
			fd, err := r.openTarget()
			if err != nil {
				return err
			}
			run.Hold(slotTarget, os.NewFile(uintptr(fd), "pidfd"))
			return nil
		},
	}}
	if contains(r.Join, "pid") && !r.pidInside() {
		steps = append(steps, bearInside(r.Target)...)
	}
	return steps
}

// bearInside makes the next child a member of the pid namespace of the process in slotTarget.
func bearInside(target int) []launch.Step {
	var steps []launch.Step
	//ex:begin ns.pid-child
	steps = append(steps, launch.Step{
		Name:    fmt.Sprintf("let children be born in the pid namespace of %d", target),
		Because: "pid_namespaces(7): setns does not move its caller, only children born later",
		Do: func(run *launch.Run) error {
			run.Taint()
			return unix.Setns(int(run.Slot(slotTarget)), unix.CLONE_NEWPID)
		},
	})
	//ex:stub
	// steps = append(steps, launch.Step{Name: "join pid", Do: func(*launch.Run) error { return todo.Exercise("ns.pid-child") }})
	//ex:end ns.pid-child
	return steps
}

// joinInside joins the rest in the child, which has one thread: the user
// namespace first, because it gives the capabilities for the others.
func joinInside(r Request) []launch.Step {
	var steps []launch.Step
	//ex:begin ns.join
	var rest uintptr
	var names []string
	for _, k := range r.Join {
		switch k.File {
		case "user":
			steps = append(steps, launch.Setns(slotTarget, k.Flag, "user"), launch.BecomeRoot())
		case "pid": // the parent's thread has done it
		default:
			rest |= k.Flag
			names = append(names, k.File)
		}
	}
	if rest != 0 {
		steps = append(steps, launch.Setns(slotTarget, rest, strings.Join(names, " ")))
	}
	//ex:stub
	// steps = append(steps, launch.Step{Name: "join", Do: func(*launch.Run) error { return todo.Exercise("ns.join") }})
	//ex:end ns.join
	return steps
}

// identity writes the maps of a new user namespace from outside, and becomes
// root in it.
func identity(r Request) []launch.Step {
	if len(r.Maps.Users)+len(r.Maps.Groups) > 0 {
		return append(setGroups(r.SetGroups), r.Maps.steps()...)
	}
	if !r.MapRoot {
		return setGroups(r.SetGroups)
	}
	uid, gid := os.Geteuid(), os.Getegid()
	return []launch.Step{
		{
			Name:    fmt.Sprintf("map user %d and group %d to root", uid, gid),
			Because: "user_namespaces(7): until a map is written every id is 65534",
			Do:      func(run *launch.Run) error { return writeMaps(run.PID(), uid, gid) },
		},
		launch.BecomeRoot(),
	}
}

// writeMaps maps one user and one group to 0.
func writeMaps(pid, uid, gid int) error {
	//ex:begin ns.userns-map
	for _, f := range []struct{ file, text string }{
		{"setgroups", "deny"}, // must come before gid_map (CVE-2014-8989)
		{"uid_map", fmt.Sprintf("0 %d 1\n", uid)},
		{"gid_map", fmt.Sprintf("0 %d 1\n", gid)},
	} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, f.file), []byte(f.text), 0); err != nil {
			return err
		}
	}
	return nil
	//ex:stub
	// return todo.Exercise("ns.userns-map")
	//ex:end ns.userns-map
}

func search(env []string) string {
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			return path
		}
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// CreateOptions are what create and run are asked for. Only ID and Bundle are needed.
type CreateOptions struct {
	ID           string         // letters, digits and _+-. ; at most 255 bytes
	Bundle       string         // absolute path of the directory with config.json
	Terminal     Terminal       // where the terminal's master goes; nil: nowhere, so process.terminal must be false
	IfTerminal   bool           // Terminal is an offer: a process without one is fine
	Attach       func() error   // nil, or what takes the terminal from Terminal's other end before the program runs
	PIDFile      string         // "", or the file that the process id is written to, whole, before Create returns
	PIDFDSocket  string         // "", or a unix socket that gets the process's pidfd (unix(7), SCM_RIGHTS)
	PreserveFDs  int            // how many descriptors from 3 on the program gets from the caller
	NoPivot      bool           // move the root instead of pivot_root(2): for roots on an initramfs
	NoNewKeyring bool           // keep the caller's session keyring (keyctl(2))
	Watch        launch.Options // trace, step
}

// Terminal gives a connected unix socket to which the container's terminal is sent.
type Terminal func() (*os.File, error)

// creation is a container that is being made.
type creation struct {
	*Container
	opts  CreateOptions
	spec  *spec.Config
	group *cgroup.Group
	after *specs.LinuxResources // what is set once the container's process is in the group; nil: nothing
	proc  *launch.Process
	late  map[int]string

	starved bool // the memory limit has killed the child
}

// Create makes a container up to its start gate. When it fails, nothing is left of it.
func (rt *Runtime) Create(ctx context.Context, opts CreateOptions) (proc *launch.Process, err error) {
	s, err := rt.load(opts.Bundle)
	if err != nil {
		return nil, err
	}
	if err := opts.checkTerminal(s.Process); err != nil {
		return nil, err
	}
	listenFDs(&opts, s.Spec)
	facts, group, err := rt.Facts(s.Spec, opts.ID)
	if err != nil {
		return nil, err
	}
	c, err := rt.reserve(opts, s, group)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.dir.Remove())
			c.poststop(context.WithoutCancel(ctx)) // runtime-spec runtime.md, lifecycle: after a hook that fails come steps 12 and 13
		}
		err = errors.Join(err, c.Close())
	}()
	if err := c.launch(ctx, facts); err != nil {
		return nil, err
	}
	if err := c.announce(); err != nil {
		return nil, err
	}
	return c.proc, nil
}

// checkTerminal makes sure that a terminal has somewhere to go, and that nobody waits for one that does not come.
func (o *CreateOptions) checkTerminal(p *specs.Process) error {
	switch {
	case p.Terminal && o.Terminal == nil:
		return errors.New("cannot allocate tty if the runtime will detach without setting console socket")
	case !p.Terminal && o.IfTerminal:
		o.Terminal = nil
	case !p.Terminal && o.Terminal != nil:
		return errors.New("cannot use console socket if process.terminal is false")
	}
	return nil
}

// load reads the bundle and makes sure that there is a root file system.
func (rt *Runtime) load(bundle string) (*spec.Config, error) {
	s, err := spec.Load(bundle)
	if err != nil {
		return nil, err
	}
	for _, w := range s.Warnings {
		rt.Warn(w)
	}
	st, err := os.Stat(s.Root.Path)
	if err != nil {
		return nil, fmt.Errorf("invalid rootfs: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("invalid rootfs: %s is not a directory", s.Root.Path)
	}
	if s.Root.Path, err = filepath.EvalSymlinks(s.Root.Path); err != nil {
		return nil, fmt.Errorf("invalid rootfs: %w", err)
	}
	return s, nil
}

// reserve takes the id and records what is needed to clear up, should we die before the end.
func (rt *Runtime) reserve(opts CreateOptions, s *spec.Config, group *cgroup.Group) (*creation, error) {
	dir, err := rt.Root.Reserve(opts.ID)
	if err != nil {
		return nil, err
	}
	record := &state.Record{
		ID: opts.ID, Version: s.Version, Bundle: opts.Bundle, Rootfs: s.Root.Path, Created: time.Now().UTC(),
		Owner: uint32(os.Getuid()), Annotations: s.Annotations, Hooks: s.Hooks, PIDNS: spec.New(s.Spec, specs.PIDNamespace), NoKeyring: opts.NoNewKeyring,
	}
	if group != nil {
		record.Cgroup, record.Unit = group.Path(), group.Unit()
	}
	if record.Resctrl, err = resourceControl(s.Spec, opts.ID); err != nil {
		return nil, errors.Join(err, dir.Remove(), dir.Close())
	}
	if !spec.Has(s.Spec, specs.MountNamespace) {
		n, err := mountsOn(s.Root.Path)
		if err != nil {
			return nil, errors.Join(err, dir.Remove(), dir.Close())
		}
		record.OnHost = n + 1
	}
	c := &creation{Container: &Container{record, dir, rt}, opts: opts, spec: s, group: group}
	if err := errors.Join(dir.Lock(), dir.Put(record), dir.PutConfig(s.Text)); err != nil {
		return nil, errors.Join(err, dir.Remove(), dir.Close())
	}
	return c, nil
}

// launch compiles and performs the plan.
func (c *creation) launch(ctx context.Context, facts plan.Facts) error {
	p, err := plan.Compile(c.spec.Spec, facts, c.request(), c.acts(ctx))
	if err != nil {
		return err
	}
	c.rt.tell(p)
	c.late = p.Late()
	c.proc, err = start(ctx, p.Plan, c.opts.Watch)
	return c.orStarved(startError(c.spec.Spec, err))
}

func (c *creation) request() plan.Request {
	return plan.Request{
		ID: c.ID, ConsoleSocket: c.opts.Terminal != nil, Foreground: c.opts.Attach != nil, PreserveFDs: c.opts.PreserveFDs,
		NoPivot: c.opts.NoPivot, NoNewKeyring: c.opts.NoNewKeyring,
	}
}

// startError words a failed launch as runc does: dockerd and containerd look for these words.
func startError(s *specs.Spec, err error) error {
	if err == nil {
		return nil
	}
	if step, ok := errors.AsType[*launch.StepError](err); ok {
		return fmt.Errorf("unable to start container process: %w", mountError(s, step.Step, schedulerError(s, step.Step, programError(s.Process.Args[0], step.Step, err))))
	}
	return err
}

// ProgramError says that the container's program could not be found or executed. Err is the kernel's errno (execve(2)).
type ProgramError struct {
	Program string // as config.json names it
	Err     error
	text    string
}

func (e *ProgramError) Error() string { return e.text }

func (e *ProgramError) Unwrap() error { return e.Err }

// programError turns the failure to find or to execute the program into the words of Go's os/exec, which runc shows.
func programError(program, step string, err error) error {
	if !strings.HasPrefix(step, plan.FindProgram) && !strings.HasPrefix(step, "execve ") {
		return profileError(step, err)
	}
	cause := errors.Unwrap(err)
	if e, ok := errors.AsType[*launch.StepError](err); ok {
		cause = e.Err
	}
	text := fmt.Sprintf("exec: %q: %v", program, cause)
	switch {
	case errors.Is(cause, unix.ENOENT) && !strings.Contains(program, "/"):
		text = fmt.Sprintf("exec: %q: executable file not found in $PATH", program)
	case errors.Is(cause, unix.ENOENT) && !strings.HasPrefix(step, plan.FindProgram): // it is there: its interpreter is not
		text = fmt.Sprintf("exec %s: %v", program, cause)
	case errors.Is(cause, unix.ENOENT):
		text = fmt.Sprintf("exec: %q: stat %s: %v", program, program, cause)
	}
	return &ProgramError{Program: program, Err: cause, text: text}
}

// acts are the parent's steps.
func (c *creation) acts(ctx context.Context) plan.Acts {
	return plan.Acts{
		MakeCgroup:    func(*launch.Run) error { return c.makeGroup(ctx) },
		RemoveCgroup:  func(*launch.Run) error { return c.removeFailed(ctx) },
		OpenCgroup:    func(r *launch.Run, s launch.Slot) error { return holdCgroup(r, c.group, s) },
		JoinFiles:     func(r *launch.Run, s []launch.Slot) error { return holdJoinFiles(r, c.group, s) },
		MoveIn:        moveIn(c.group, ""),
		Settle:        func(*launch.Run) error { return c.settle() },
		ConsoleSocket: func(r *launch.Run, s launch.Slot) error { return holdTerminal(r, c.opts.Terminal, s) },
		Attach:        func(*launch.Run) error { return c.opts.Attach() },
		JoinResctrl:   func(r *launch.Run) error { return c.Resctrl.Join(r.PID()) },
		LeaveResctrl:  func(*launch.Run) error { return c.Resctrl.Remove() },
		Listen:        c.listen,
		RuntimeHooks: func(r *launch.Run) error {
			// runtime-spec runtime.md: "created" begins after step 2 of the lifecycle, prestart is step 3; its readers expect it
			early := c.ociState(lifecycle.Created, r.PID())
			if err := runHooks(ctx, "prestart", c.spec.Hooks.Prestart, early); err != nil { //nolint:staticcheck // Docker uses prestart
				return err
			}
			return runHooks(ctx, "createRuntime", c.spec.Hooks.CreateRuntime, c.ociState(lifecycle.Creating, r.PID()))
		},
		InsideHooks: func(r *launch.Run) error {
			return c.hooksInside(ctx, "createContainer", c.spec.Hooks.CreateContainer, c.ociState(lifecycle.Creating, r.PID()))
		},
		Record: func(r *launch.Run) error {
			var err error
			if c.Process, err = state.Identify(r.PID()); err != nil {
				return err
			}
			c.Late = c.late
			return c.dir.Put(c.Record)
		},
	}
}

// empty refuses a group in which somebody lives: pause, kill and delete would hit them, too.
func empty(g *cgroup.Group) error {
	if !g.Exists() {
		return nil
	}
	pids, err := g.AllPids()
	if err == nil && len(pids) > 0 {
		return fmt.Errorf("container's cgroup is not empty: %d process(es) found", len(pids))
	}
	if frozen, err := g.Frozen(); err == nil && frozen {
		return errors.New("container's cgroup unexpectedly frozen: whoever joined it would never go on")
	}
	return nil // it went meanwhile, or Create will say what is wrong with it
}

func holdCgroup(r *launch.Run, g *cgroup.Group, s launch.Slot) error {
	dirs := g.Dirs()
	dir := dirs[len(dirs)-1]
	if dir.Version != 2 {
		return errors.New("no cgroup v2 tree is mounted")
	}
	f, err := os.Open(dir.Path)
	if err != nil {
		return err
	}
	r.Hold(s, f)
	return nil
}

func holdJoinFiles(r *launch.Run, g *cgroup.Group, slots []launch.Slot) error {
	files, err := g.JoinFiles()
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f *os.File) bool { // the v2 tree is joined by being born there
		return filepath.Base(f.Name()) == "cgroup.procs" && f.Close() == nil
	})
	if len(files) != len(slots) {
		for _, f := range files {
			_ = f.Close() // the mismatch is the error
		}
		return fmt.Errorf("%d hierarchies now, %d when the plan was made", len(files), len(slots))
	}
	for i, f := range files {
		r.Hold(slots[i], f)
	}
	return nil
}

func holdTerminal(r *launch.Run, t Terminal, s launch.Slot) error {
	f, err := t()
	if err != nil {
		return err
	}
	r.Hold(s, f)
	return nil
}

// listen opens the start gate: it is there before anything can go wrong behind it.
func (c *creation) listen(r *launch.Run, s launch.Slot) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), state.GateName)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: c.dir.GatePath()}); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := unix.Listen(fd, 1); err != nil {
		return errors.Join(err, f.Close())
	}
	r.Hold(s, f)
	return nil
}

// announce tells the caller which process it is. If that fails, the container goes again.
func (c *creation) announce() error {
	err := writePIDFile(c.opts.PIDFile, c.proc.PID())
	if err == nil && c.opts.PIDFDSocket != "" {
		err = sendPIDFD(c.opts.PIDFDSocket, c.proc.PIDFD())
	}
	if err == nil {
		return nil
	}
	_ = c.proc.Signal(unix.SIGKILL) // it may be gone already
	_, waitErr := c.proc.Wait()
	if c.group != nil {
		waitErr = errors.Join(waitErr, c.group.Remove(context.Background()))
	}
	return errors.Join(err, waitErr, c.proc.Close(), c.unmount())
}

// ConsoleSocket connects to the socket that a shim listens on.
func ConsoleSocket(path string) Terminal {
	return func() (*os.File, error) {
		f, err := connect(path)
		if err != nil {
			return nil, fmt.Errorf("console socket: %w", err)
		}
		return f, nil
	}
}

// connect opens a connection that can be given to a child.
func connect(path string) (*os.File, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	f, err := conn.File()
	if err != nil {
		return nil, err
	}
	return f, unix.SetNonblock(int(f.Fd()), false) // the child cannot wait for a poller
}

func sendPIDFD(path string, pidfd *os.File) error {
	socket, err := connect(path)
	if err != nil {
		return fmt.Errorf("pidfd socket: %w", err)
	}
	defer socket.Close()
	return unix.Sendmsg(int(socket.Fd()), []byte("pidfd"), unix.UnixRights(int(pidfd.Fd())), nil, 0)
}

// listenFDs passes on the sockets of systemd's activation (sd_listen_fds(3)).
func listenFDs(opts *CreateOptions, s *specs.Spec) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n <= 0 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_PID") != "" {
		return
	}
	opts.PreserveFDs += n
	s.Process.Env = append(s.Process.Env, "LISTEN_FDS="+strconv.Itoa(n), "LISTEN_PID=1")
}

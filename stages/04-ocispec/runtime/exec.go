package runtime

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// ExecOptions are what exec is asked for. ID and Process are needed; what is not explained here is as in CreateOptions.
type ExecOptions struct {
	ID           string
	Process      func(container *specs.Process) (*specs.Process, error) // the process, made from a copy of the container's own
	Terminal     Terminal
	IfTerminal   bool
	Attach       func() error
	PIDFile      string
	PIDFDSocket  string
	PreserveFDs  int
	IgnorePaused bool     // go ahead in a paused container: the process waits for resume
	Cgroup       []string // below the container's own: one PATH, or on v1 CONTROLLER[,CONTROLLER...]:PATH
	Watch        launch.Options
}

// Exec starts one more process in a container; the caller waits for it.
func (rt *Runtime) Exec(ctx context.Context, opts ExecOptions) (*launch.Process, error) {
	c, err := rt.Find(opts.ID)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	status, err := c.Status()
	if err != nil {
		return nil, err
	}
	if err := lifecycle.Check(lifecycle.Exec, status); err != nil && !(opts.IgnorePaused && status == lifecycle.Paused) {
		return nil, err
	}
	s, err := c.dir.Config()
	if err != nil {
		return nil, err
	}
	if err := c.replaceProcess(s, &opts); err != nil {
		return nil, err
	}
	p, err := c.compileExec(s, opts)
	if err != nil {
		return nil, err
	}
	proc, err := start(ctx, p.Plan, opts.Watch)
	if err != nil {
		return nil, startError(s, err)
	}
	if err := opts.tell(proc); err != nil {
		_ = proc.Signal(unix.SIGKILL) // it may be gone already
		_, waitErr := proc.Wait()
		return nil, errors.Join(err, waitErr, proc.Close())
	}
	return proc, nil
}

// tell gives the process to whom it was promised.
func (o *ExecOptions) tell(proc *launch.Process) error {
	if err := writePIDFile(o.PIDFile, proc.PID()); err != nil || o.PIDFDSocket == "" {
		return err
	}
	return sendPIDFD(o.PIDFDSocket, proc.PIDFD())
}

// replaceProcess puts the new process in the place of the container's own and checks it in the same way.
func (c *Container) replaceProcess(s *specs.Spec, opts *ExecOptions) error {
	p, err := opts.Process(s.Process)
	if err != nil {
		return err
	}
	if p.Capabilities == nil {
		p.Capabilities = s.Process.Capabilities
	}
	s.Process = p
	if !p.Terminal && opts.IfTerminal {
		opts.Terminal = nil
	}
	warnings, err := spec.Process(p)
	for _, w := range warnings {
		c.rt.Warn(w)
	}
	switch {
	case err != nil:
		return err
	case p.Terminal && opts.Terminal == nil:
		return errors.New("cannot allocate tty if the runtime will detach without setting console socket")
	case !p.Terminal && opts.Terminal != nil:
		return errors.New("cannot use console socket if the process has no terminal")
	}
	return nil
}

func (c *Container) compileExec(s *specs.Spec, opts ExecOptions) (*plan.Plan, error) {
	facts, acts, err := c.forExec(s, opts.Cgroup)
	if err != nil {
		return nil, err
	}
	acts.Attach = func(*launch.Run) error { return opts.Attach() }
	acts.ConsoleSocket = func(r *launch.Run, slot launch.Slot) error { return holdTerminal(r, opts.Terminal, slot) }
	p, err := plan.CompileExec(s, facts, plan.Request{ID: c.ID, NoNewKeyring: c.NoKeyring, ConsoleSocket: opts.Terminal != nil, Foreground: opts.Attach != nil, PreserveFDs: opts.PreserveFDs}, acts)
	if err != nil {
		return nil, err
	}
	c.rt.tell(p)
	return p, nil
}

// forExec gathers what the plan of one more process in the container depends on, and the parent's steps.
func (c *Container) forExec(s *specs.Spec, cgroup []string) (facts plan.Facts, acts plan.Acts, err error) {
	if facts, err = ownFacts(); err != nil {
		return facts, acts, err
	}
	if err = canEnforce(s, facts); err != nil {
		return facts, acts, err
	}
	if facts.Join, err = differing(c.Process.PID); err != nil {
		return facts, acts, err
	}
	if facts.Inside, err = bounding(c.Process.PID); err != nil {
		return facts, acts, err
	}
	if slices.Contains(facts.Join, specs.UserNamespace) {
		facts.Bounding, facts.Permitted = all(), all()
	}
	facts.OOMScore = ownOOMScore(s.Process)
	facts.Home = homeOf("/proc/"+strconv.Itoa(c.Process.PID)+"/root", s.Process.User.UID)
	group, move, err := c.execPlace(cgroup, &facts)
	if err != nil {
		return facts, acts, err
	}
	m := &mail{}
	return facts, plan.Acts{
		OpenMail:  m.open,
		CloseMail: func(*launch.Run) error { return m.close() },
		OpenTarget: func(r *launch.Run, slot launch.Slot) error {
			return holdTarget(r, c.Process, slot, slices.Contains(facts.Join, specs.PIDNamespace) && !facts.JoinsPIDInside(s.Process))
		},
		OpenCgroup: func(r *launch.Run, slot launch.Slot) error { return holdCgroup(r, group, slot) },
		JoinFiles:  func(r *launch.Run, slots []launch.Slot) error { return holdJoinFiles(r, group, slots) },
		MoveIn:     move,
		Listener:   c.listenerStep(s, c.ociState(lifecycle.Running, c.Process.PID), m),
	}, nil
}

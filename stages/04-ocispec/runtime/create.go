package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
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

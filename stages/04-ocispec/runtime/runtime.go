package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// Runtime is where containers are recorded and how warnings are told.
type Runtime struct {
	Root    *state.Root                    // where containers are recorded, a directory each
	Warn    func(string)                   // is told what is ignored or could not be had; never nil
	Debug   func(string)                   // nil: nobody debugs
	layout  func() (*cgroup.Layout, error) // looked at once, when first needed
	forRoot bool                           // facts are root's, whoever asks
	cgroups CgroupOptions
}

// New makes a runtime that keeps its containers below root.
func New(root *state.Root, warn func(string)) *Runtime {
	return &Runtime{Root: root, Warn: warn, layout: sync.OnceValues(cgroup.Detect)}
}

// ForRoot makes Facts say what holds for root, so that anybody can be shown the list that root would perform.
func (rt *Runtime) ForRoot() { rt.forRoot = true }

// tell passes on what a compiled plan has to say besides its steps.
func (rt *Runtime) tell(p *plan.Plan) {
	for _, w := range p.Warnings {
		rt.Warn(w)
	}
	for _, n := range p.Notes {
		if rt.Debug != nil {
			rt.Debug(n)
		}
	}
}

// Container is one that exists: its directory and its record.
type Container struct {
	*state.Record
	dir *state.Dir
	rt  *Runtime
}

// Find opens a container; state.ErrNotExist when there is none.
func (rt *Runtime) Find(id string) (*Container, error) {
	dir, err := rt.Root.Find(id)
	if err != nil {
		return nil, err
	}
	record, err := dir.Get()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &Container{record, dir, rt}, nil
}

// Close releases the container's directory and its lock.
func (c *Container) Close() error { return c.dir.Close() }

// Status asks the kernel how the container is.
func (c *Container) Status() (lifecycle.Status, error) {
	f := lifecycle.Facts{Recorded: c.Process != nil}
	if f.Recorded {
		f.Alive, f.Gate = c.Process.Alive(), c.dir.HasGate()
	}
	if f.Alive && c.Cgroup != "" {
		group, err := c.group()
		if err != nil {
			return "", err
		}
		f.Frozen, err = group.Frozen()
		var none *cgroup.NoControllerError
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &none) {
			return "", err
		}
	}
	return lifecycle.StatusOf(f), nil
}

// begin finds a container, locks it and makes sure that an operation may begin.
func (rt *Runtime) begin(id string, op lifecycle.Op) (*Container, error) {
	dir, err := rt.Root.Find(id)
	if err != nil {
		return nil, err
	}
	c := &Container{dir: dir, rt: rt}
	if err := c.check(id, op); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return c, nil
}

// check reads the record once nobody else can change it.
func (c *Container) check(id string, op lifecycle.Op) (err error) {
	if err := c.dir.Lock(); err != nil {
		return fmt.Errorf("lock container %s: %w", id, err)
	}
	if c.Record, err = c.dir.Get(); err != nil {
		return err
	}
	status, err := c.Status()
	if err != nil {
		return err
	}
	return lifecycle.Check(op, status)
}

// with runs an operation on a container under its lock.
func (rt *Runtime) with(id string, op lifecycle.Op, do func(*Container) error) error {
	c, err := rt.begin(id, op)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// group is the container's cgroup.
func (c *Container) group() (*cgroup.Group, error) {
	layout, err := c.rt.layout()
	if err != nil {
		return nil, err
	}
	if c.Cgroup == "" {
		return nil, fmt.Errorf("container %s has no cgroup of its own", c.ID)
	}
	if c.Unit != "" {
		return layout.Unit(c.Unit, c.Cgroup)
	}
	return layout.Group(c.Cgroup)
}

// Pause freezes every process of the container.
func (rt *Runtime) Pause(ctx context.Context, id string) error {
	return rt.with(id, lifecycle.Pause, func(c *Container) error {
		group, err := c.group()
		if err != nil {
			return err
		}
		return group.Freeze(ctx)
	})
}

// Resume lets them go on.
func (rt *Runtime) Resume(ctx context.Context, id string) error {
	return rt.with(id, lifecycle.Resume, func(c *Container) error {
		group, err := c.group()
		if err != nil {
			return err
		}
		return group.Thaw(ctx)
	})
}

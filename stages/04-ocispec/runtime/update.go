package runtime

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
)

// Update changes the container's budget; what r does not mention stays.
func (rt *Runtime) Update(id string, r *specs.LinuxResources) error {
	return rt.with(id, lifecycle.Update, func(c *Container) error {
		group, err := c.group()
		if err != nil {
			return err
		}
		return group.Set(rt.change(r))
	})
}

// Pids lists the processes of the container, as the host counts them.
func (rt *Runtime) Pids(id string) ([]int, error) {
	c, err := rt.Find(id)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	status, err := c.Status()
	if err != nil {
		return nil, err
	}
	if status == lifecycle.Stopped { // nobody is left to be shown; runc says so with an empty list, too
		return []int{}, nil
	}
	if err := lifecycle.Check(lifecycle.Ps, status); err != nil {
		return nil, err
	}
	group, err := c.group()
	if err != nil {
		return nil, err
	}
	return group.AllPids()
}

// Stats reads the container's accounts.
func (rt *Runtime) Stats(id string) (*cgroup.Stats, *cgroup.Group, error) {
	c, err := rt.Find(id)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	status, err := c.Status()
	if err != nil {
		return nil, nil, err
	}
	if err := lifecycle.Check(lifecycle.Events, status); err != nil {
		return nil, nil, err
	}
	group, err := c.group()
	if err != nil {
		return nil, nil, err
	}
	stats, err := group.Stats()
	return stats, group, err
}

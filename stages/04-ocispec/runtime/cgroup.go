package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// CgroupOptions say who makes groups, and what happens where that is not allowed.
type CgroupOptions struct {
	Systemd  bool  // ask systemd for a scope; linux.cgroupsPath is SLICE:PREFIX:NAME
	Rootless *bool // a container that asks for no limit may do without a group; nil: for whoever is not root of the machine
}

// Cgroups sets the options. It is called before anything else.
func (rt *Runtime) Cgroups(o CgroupOptions) { rt.cgroups = o }

// rootless: whoever is not root of the machine may find that there is no group to be had.
func (rt *Runtime) rootless() bool {
	if rt.forRoot {
		return false
	}
	if r := rt.cgroups.Rootless; r != nil {
		return *r
	}
	return dbus.Self() != 0
}

// groupFor names the container's cgroup: config.json's path, counted from the mount points, one below /slipway, or the scope of a
// systemd unit. It is nil when an ordinary user can have none and needs none.
func (rt *Runtime) groupFor(s *specs.Spec, id string) (*cgroup.Group, error) {
	layout, err := rt.layout()
	if err != nil {
		if rt.rootless() && s.Linux.CgroupsPath == "" && !limited(s.Linux.Resources) {
			return nil, nil
		}
		return nil, err
	}
	switch {
	case rt.cgroups.Systemd:
		return unitFor(layout, s, id)
	case rt.rootless() && s.Linux.CgroupsPath == "":
		return ordinaryGroup(layout, s, id)
	}
	name := s.Linux.CgroupsPath
	if name == "" {
		name = path.Join("/slipway", id)
	}
	group, err := layout.Group(path.Join("/", name))
	if err != nil {
		return nil, fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	return group, nil
}

// unitFor names the scope that systemd is to make.
func unitFor(layout *cgroup.Layout, s *specs.Spec, id string) (*cgroup.Group, error) {
	name := s.Linux.CgroupsPath
	if name == "" {
		name = ":slipway:" + id
	}
	if strings.Count(name, ":") != 2 {
		return nil, fmt.Errorf("linux.cgroupsPath: expected cgroupsPath to be of format %q for systemd cgroups, got %q instead", "slice:prefix:name", name)
	}
	group, err := layout.Use(cgroup.Systemd).Group(name)
	if err != nil {
		return nil, fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	extra, err := unitProperties(s.Annotations)
	return group.WithProperties(extra), err
}

// ordinaryGroup is in the part of the tree that the user has been given, if any.
func ordinaryGroup(layout *cgroup.Layout, s *specs.Spec, id string) (*cgroup.Group, error) {
	given, err := layout.Delegated()
	if err != nil {
		if limited(s.Linux.Resources) {
			return nil, fmt.Errorf("rootless needs no limits + no cgrouppath when no permission is granted for cgroups: %w", err)
		}
		return nil, nil
	}
	if strings.HasPrefix(path.Base(given.Path()), "user@") { // systemd's own: below the caller's unit at most
		if given, err = layout.Of(os.Getpid()); err != nil {
			return nil, err
		}
	}
	return layout.Group(path.Join(given.Path(), "slipway-"+id))
}

// limited tells whether a budget asks for anything but devices, which are governed in another way, too: an ordinary user's
// container cannot make any.
func limited(r *specs.LinuxResources) bool {
	if r == nil {
		return false
	}
	m, c, b := r.Memory, r.CPU, r.BlockIO
	return cgroup.AsksMemory(m) || cgroup.AsksCPU(c) || c != nil && c.Cpus+c.Mems != "" || r.Pids != nil && r.Pids.Limit != nil ||
		b != nil && (b.Weight != nil || b.LeafWeight != nil || len(b.WeightDevice)+len(b.ThrottleReadBpsDevice)+len(b.ThrottleWriteBpsDevice)+
			len(b.ThrottleReadIOPSDevice)+len(b.ThrottleWriteIOPSDevice) > 0) ||
		len(r.HugepageLimits)+len(r.Rdma)+len(r.Unified) > 0 || r.Network != nil && (r.Network.ClassID != nil || len(r.Network.Priorities) > 0)
}

// makeGroup makes the container's group with its budget. What it made is gone again when it fails.
func (c *creation) makeGroup(ctx context.Context) (err error) {
	if err := empty(c.group); err != nil {
		return err
	}
	if err := c.group.Create(); err != nil {
		return fmt.Errorf("unable to apply cgroup configuration: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.group.Remove(context.WithoutCancel(ctx)))
		}
	}()
	budget := c.rt.budget(c.spec.Linux.Resources)
	if c.group.Unit() != "" {
		budget, c.after = withoutPids(budget)
	}
	if err := c.group.Set(budget); err != nil {
		return err
	}
	if uid, ok := groupOwner(c.spec.Spec); ok {
		return c.group.Give(uid)
	}
	return nil
}

// settle ends the process that has kept a systemd scope open. Only now can the container be limited to as many processes as are its
// own.
func (c *creation) settle() error {
	c.group.Settle()
	return c.group.Set(c.after)
}

// withoutPids takes the limit of processes out of a budget.
func withoutPids(r *specs.LinuxResources) (rest, pids *specs.LinuxResources) {
	out := *r
	pids = &specs.LinuxResources{Pids: r.Pids}
	out.Pids = nil
	if max, ok := r.Unified["pids.max"]; ok {
		pids.Unified = map[string]string{"pids.max": max}
		out.Unified = maps.Clone(r.Unified)
		delete(out.Unified, "pids.max")
	}
	return &out, pids
}

// moveIn is for those who may not put a process into the group themselves.
func moveIn(g *cgroup.Group, sub string) func(*launch.Run) error {
	return func(r *launch.Run) error { return g.MoveIn(sub, r.PID()) }
}

// groupOwner is the user that a container's group is given to: if it sees a cgroup tree of its own and may write there
// (runtime-spec config-linux.md, "Cgroup ownership").
func groupOwner(s *specs.Spec) (uid int, ok bool) {
	shown := slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool {
		return m.Source == "cgroup" && path.Clean(m.Destination) == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
	})
	if !shown || !spec.New(s, specs.CgroupNamespace) {
		return 0, false
	}
	inside := s.Process.User.UID
	if !spec.Has(s, specs.UserNamespace) {
		return int(inside), inside != 0
	}
	for _, m := range s.Linux.UIDMappings {
		if inside >= m.ContainerID && inside-m.ContainerID < m.Size {
			return int(m.HostID + inside - m.ContainerID), true
		}
	}
	return 0, false
}

package runtime

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// subPaths reads exec's --cgroup: one path, or on v1 CONTROLLER[,CONTROLLER...]:PATH for some hierarchies.
func subPaths(args []string) (map[string]string, error) {
	paths := map[string]string{}
	for _, arg := range args {
		list, path, ok := strings.Cut(arg, ":")
		if !ok {
			if len(args) > 1 {
				return nil, fmt.Errorf("invalid --cgroup argument: %s (missing <controller>: prefix)", arg)
			}
			return map[string]string{"": arg}, nil
		}
		for controller := range strings.SplitSeq(list, ",") {
			if controller == "" {
				return nil, fmt.Errorf("invalid --cgroup argument: %s (empty <controller> prefix)", arg)
			}
			if _, twice := paths[controller]; twice {
				return nil, fmt.Errorf("invalid --cgroup argument(s): controller %s specified multiple times", controller)
			}
			paths[controller] = path
		}
	}
	return paths, nil
}

// execGroup is where a further process goes: to where it is asked to, else to the container's group. A container that has moved
// its first process down, so that it can pass controllers on, has no room for processes there: then the newcomer goes to where the
// first process is. That holds, too, when the container's group has gone.
func (c *Container) execGroup(args []string) (base, group *cgroup.Group, err error) {
	if base, err = c.group(); err != nil {
		return nil, nil, err
	}
	paths, err := subPaths(args)
	if err != nil {
		return nil, nil, err
	}
	if len(args) > 0 {
		if group, err = base.Below(paths); err != nil {
			return nil, nil, err
		}
		if err := admits(group); err != nil {
			return nil, nil, fmt.Errorf("error adding pid of a new process to cgroups: %w", err)
		}
		return base, group, nil
	}
	if base.Layout().Mode() == cgroup.V2 && !base.Admits() {
		group, err = base.Layout().Use(cgroup.Cgroupfs).Of(c.Process.PID)
		return base, group, err
	}
	return base, base, nil
}

// admits looks before the process is made: the error can still name the directory.
func admits(g *cgroup.Group) error {
	for _, d := range g.Dirs() {
		if _, err := os.Stat(d.Path); err != nil {
			return err
		}
	}
	if !g.Admits() {
		return fmt.Errorf("cgroup %s passes controllers on to those below it and so may hold no process itself: %w", g.Path(), unix.EBUSY)
	}
	return nil
}

// execPlace adds the group that a further process goes to to the facts, and tells how it gets there.
func (c *Container) execPlace(args []string, facts *plan.Facts) (*cgroup.Group, func(*launch.Run) error, error) {
	if c.Cgroup == "" {
		if len(args) > 0 {
			return nil, nil, fmt.Errorf("exec --cgroup: container %s has no cgroup of its own", c.ID)
		}
		return nil, nil, nil
	}
	base, group, err := c.execGroup(args)
	if err != nil {
		return nil, nil, err
	}
	if c.rt.rootless() && !base.MovesIn() && !group.Reachable() {
		if len(args) > 0 {
			return nil, nil, fmt.Errorf("exec --cgroup: the caller may not move a process to %s: %w", group.Path(), unix.EACCES)
		}
		c.rt.Warn("cgroup " + group.Path() + ": the caller may not move a process there, so the new one stays where the caller is")
		return nil, nil, nil
	}
	facts.Cgroup = cgroupFacts(group, nil)
	facts.Cgroup.Moved = base.MovesIn()
	facts.Cgroup.Born = facts.Cgroup.Born && !facts.Cgroup.Moved
	return group, moveIn(base, strings.TrimPrefix(group.Path(), base.Path())), nil
}

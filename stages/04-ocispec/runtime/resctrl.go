package runtime

import (
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/resctrl"
)

// resourceControl names the class of service that config.json asks for; nil when it asks for none.
func resourceControl(s *specs.Spec, id string) (*resctrl.Group, error) {
	if s.Linux.IntelRdt == nil {
		return nil, nil
	}
	return classOf(id, s.Linux.IntelRdt)
}

func classOf(id string, asked *specs.LinuxIntelRdt) (*resctrl.Group, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	root, err := resctrl.FindRoot(string(text))
	if err != nil {
		return nil, err
	}
	return resctrl.New(root, id, asked), nil
}

// UpdateResctrl changes the container's shares of cache and memory bandwidth, lines of schemata. A container without a class gets one.
func (rt *Runtime) UpdateResctrl(id string, lines ...string) error {
	return rt.with(id, lifecycle.Update, func(c *Container) error {
		if c.Resctrl != nil {
			return c.Resctrl.Change(lines...)
		}
		class, err := classOf(c.ID, &specs.LinuxIntelRdt{Schemata: lines})
		if err != nil {
			return err
		}
		return c.enterClass(class)
	})
}

// enterClass puts everybody in the container into a new class. The record comes before the processes: a class that nobody knows of
// would stay.
func (c *Container) enterClass(class *resctrl.Group) error {
	c.Resctrl = class
	if err := c.dir.Put(c.Record); err != nil {
		return err
	}
	if err := class.Join(c.Process.PID); err != nil {
		c.Resctrl = nil
		return errors.Join(err, c.dir.Put(c.Record))
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	pids, err := group.AllPids()
	for _, pid := range pids {
		if e := class.Add(pid); e != nil && !errors.Is(e, unix.ESRCH) { // it may have ended meanwhile
			err = errors.Join(err, e)
		}
	}
	return err
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// killTime bounds how long a process may take to die of SIGKILL: it may have to finish what it does in the kernel.
const killTime = 10 * time.Second

// deadline is for work that must not end with the caller's patience, and must end all the same.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), killTime)
}

// Delete removes a container that has stopped, or with force any, and what is left of one whose create died. With force an
// unknown id is a success.
func (rt *Runtime) Delete(ctx context.Context, id string, force bool) error {
	dir, err := rt.Root.Find(id)
	if errors.Is(err, state.ErrNotExist) && force {
		return nil
	} else if err != nil {
		return err
	}
	c := &Container{&state.Record{ID: id}, dir, rt}
	defer c.Close()
	if err := dir.Lock(); err != nil {
		return err
	}
	record, err := dir.Get()
	switch {
	case err == nil:
		c.Record = record
	case !force:
		return err
	default: // a missing or torn record must not make a container immortal
		if !errors.Is(err, state.ErrNotExist) {
			rt.Warn(err.Error())
		}
		c.recall()
	}
	status, err := c.Status()
	if err == nil && !force {
		err = lifecycle.Check(lifecycle.Delete, status)
	}
	if err != nil && !force {
		return err
	}
	return c.remove(ctx)
}

// recall finds out from the kept configuration what an unreadable record cannot say: in which cgroup the container's processes
// are.
func (c *Container) recall() {
	s, err := c.dir.Config()
	if err != nil {
		return // it has not come as far as to have any
	}
	if group, err := c.rt.groupFor(s, c.ID); err == nil && group != nil {
		c.Cgroup = group.Path()
	}
}

// remove ends what runs and clears up, in the reverse order of create. The poststop hooks come last; a failing one is a warning
// (runtime-spec runtime.md, lifecycle, step 13).
func (c *Container) remove(ctx context.Context) error {
	if err := c.end(ctx); err != nil {
		return err
	}
	if err := c.removeGroup(ctx); err != nil {
		return err
	}
	if c.Resctrl != nil {
		if err := c.Resctrl.Remove(); err != nil {
			return err
		}
	}
	if err := c.unmount(); err != nil {
		return err
	}
	if err := c.dir.Remove(); err != nil {
		return err
	}
	c.poststop(ctx)
	return nil
}

// poststop runs the last hooks; each is run, whatever the others say.
func (c *Container) poststop(ctx context.Context) {
	if c.Hooks == nil {
		return
	}
	for i := range c.Hooks.Poststop {
		if err := runHooks(ctx, "poststop", c.Hooks.Poststop[i:i+1], c.ociState(lifecycle.Stopped, 0)); err != nil {
			c.rt.Warn(err.Error())
		}
	}
}

// removeGroup ends whoever is left in the container's cgroup and removes it.
func (c *Container) removeGroup(ctx context.Context) error {
	if c.Cgroup == "" {
		return nil
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	return errors.Join(group.Kill(ctx), group.Remove(ctx))
}

// end kills the container's first process and waits until it is gone, by its pidfd and not by asking again and again.
func (c *Container) end(ctx context.Context) error {
	if c.Process == nil {
		return nil
	}
	pidfd, err := c.Process.PIDFD()
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return err
	}
	defer pidfd.Close()
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	if status, err := c.Status(); err == nil && status == lifecycle.Paused {
		if err := c.thawForKill(ctx, unix.SIGKILL, status); err != nil {
			return err
		}
	}
	return waitGone(pidfd)
}

// waitGone returns when the process has ended; it need not have been reaped (pidfd_open(2): a pidfd becomes readable then).
func waitGone(pidfd *os.File) error {
	until := time.Now().Add(killTime)
	for {
		poll := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(time.Until(until).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("the container's process does not die within %v of SIGKILL", killTime)
		default:
			return nil
		}
	}
}

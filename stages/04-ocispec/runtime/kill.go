package runtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
)

// Kill sends a signal to the container's first process, or to every process in its cgroup. A container without a pid namespace
// of its own outlives its first process; SIGKILL therefore goes to all of it. Where an ordinary user's container has no cgroup,
// only the first process of a pid namespace can be found: the others die with it.
func (rt *Runtime) Kill(ctx context.Context, id string, sig unix.Signal, all bool) error {
	c, err := rt.Find(id)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status() // without the lock: a kill must not wait for a start that hangs
	if err != nil {
		return err
	}
	if all && c.Cgroup == "" {
		if status == lifecycle.Stopped {
			return nil // as with a cgroup in which nobody is left
		}
		all = !c.PIDNS
	}
	return c.signal(ctx, sig, all, status)
}

// signal reaches the very process that the record names, or everybody.
func (c *Container) signal(ctx context.Context, sig unix.Signal, all bool, status lifecycle.Status) error {
	//ex:begin oci.kill
	if all || sig == unix.SIGKILL && !c.PIDNS && c.Cgroup != "" {
		return c.killAll(ctx, sig, status)
	}
	if err := lifecycle.Check(lifecycle.Kill, status); err != nil {
		return err
	}
	pidfd, err := c.Process.PIDFD()
	if errors.Is(err, unix.ESRCH) {
		return &lifecycle.Error{Op: lifecycle.Kill, Status: lifecycle.Stopped}
	} else if err != nil {
		return err
	}
	defer pidfd.Close()
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, 0); err != nil {
		return err
	}
	return c.thawForKill(ctx, sig, status)
	//ex:stub
	// return todo.Exercise("oci.kill")
	//ex:end oci.kill
}

// thawForKill lets a paused container die: on v1 a frozen process acts on SIGKILL only when it is thawed.
func (c *Container) thawForKill(ctx context.Context, sig unix.Signal, status lifecycle.Status) error {
	if sig != unix.SIGKILL || status != lifecycle.Paused {
		return nil
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	return group.Thaw(ctx)
}

// killAll signals everybody in the cgroup. With nobody there, a stopped container is no error, as in runc.
func (c *Container) killAll(ctx context.Context, sig unix.Signal, status lifecycle.Status) error {
	if c.Cgroup == "" {
		return errors.New("kill --all: the container has no cgroup of its own")
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	pids, err := group.AllPids()
	if err != nil && status == lifecycle.Stopped {
		return nil
	} else if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return c.thawForKill(ctx, sig, status)
}

// ParseSignal reads a number, or a name with or without SIG (signal(7)).
func ParseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("unknown signal %q", s)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

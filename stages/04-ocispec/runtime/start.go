package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// Start opens the gate: the created container becomes its program. The error is that of execve, when it fails.
func (rt *Runtime) Start(ctx context.Context, id string) error {
	return rt.with(id, lifecycle.Start, func(c *Container) error { return c.start(ctx) })
}

// start ends a container one of whose hooks fails (runtime-spec runtime.md, lifecycle, steps 7 and 9).
func (c *Container) start(ctx context.Context) error {
	st := c.ociState(lifecycle.Created, c.Process.PID)
	if c.Hooks != nil {
		if err := c.startHooks(ctx, c.Hooks.StartContainer, st); err != nil {
			return errors.Join(err, c.end(ctx))
		}
	}
	if err := c.openGate(); err != nil {
		return err
	}
	if c.Hooks == nil {
		return nil
	}
	st.Status = "running"
	if err := runHooks(ctx, "poststart", c.Hooks.Poststart, st); err != nil {
		return errors.Join(err, c.end(ctx))
	}
	return nil
}

// withEnv gives hooks that say nothing of their environment the process's own: they run in its place, just before it.
func (c *Container) withEnv(list []specs.Hook) []specs.Hook {
	s, err := c.dir.Config()
	if err != nil || s.Process == nil {
		return list
	}
	list = slices.Clone(list)
	env := plan.Environment(s.Process.Env, homeOf(c.Rootfs, s.Process.User.UID))
	for i := range list {
		if list[i].Env == nil {
			list[i].Env = env
		}
	}
	return list
}

// openGate connects, and hears either nothing, which means that the program runs, or which step failed and why. The gate is
// removed as soon as somebody has gone through it: from then on the container is no longer "created".
func (c *Container) openGate() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	conn := os.NewFile(uintptr(fd), state.GateName)
	defer conn.Close()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: c.dir.GatePath()}); err != nil {
		if err == unix.ECONNREFUSED { // nobody listens any more: it is about to end, killed by somebody else
			return &lifecycle.Error{Op: lifecycle.Start, Status: lifecycle.Stopped}
		}
		return fmt.Errorf("start gate: %w", err)
	}
	if err := os.Remove(filepath.Join(c.dir.Path, state.GateName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.hear(fd)
}

func (c *Container) hear(fd int) error {
	buf := make([]byte, 64)
	n, listener, err := readGift(fd, buf)
	if number, ok := launch.Gift(buf[:max(n, 0)]); ok && err == nil {
		if err := c.serveListener(fd, number, listener); err != nil {
			return fmt.Errorf("unable to start container process: %w", err)
		}
		n, err = readGate(fd, buf)
	}
	if err == unix.ECONNRESET { // it died in front of the gate (unix(7): nobody accepted us)
		return lifecycle.Check(lifecycle.Start, lifecycle.Stopped)
	}
	if err != nil || n == 0 {
		return err
	}
	step, errno, err := launch.Report(buf[:n])
	if err != nil {
		return err
	}
	name := c.Late[step]
	cause := &launch.StepError{N: step + 1, Step: name, Side: launch.Child, Err: errno}
	return fmt.Errorf("unable to start container process: %w", programError(c.program(), name, cause))
}

func readGate(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// program is the name that the container's program was asked for by.
func (c *Container) program() string {
	s, err := c.dir.Config()
	if err != nil || s.Process == nil || len(s.Process.Args) == 0 {
		return ""
	}
	return s.Process.Args[0]
}

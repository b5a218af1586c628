package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// hooksInside runs hooks in the namespaces of the container's process (runtime-spec config.md: createContainer
// hooks). A raw child joins them, so no other thread of ours is touched.
func (c *Container) hooksInside(ctx context.Context, kind string, list []specs.Hook, st specs.State) error {
	if len(list) == 0 {
		return nil
	}
	input, err := json.Marshal(st)
	if err != nil {
		return err
	}
	for i, h := range list {
		build := func(in, out *os.File) (*launch.Plan, error) { return hookPlan(h, st.Pid, c.Rootfs, in, out), nil }
		if err := hookInside(ctx, h, input, build); err != nil {
			return fmt.Errorf("error running %s hook #%d: %s: %w", kind, i, h.Path, err)
		}
	}
	return nil
}

// startHooks runs the startContainer hooks: as the container's own user, with its limits, capabilities and seccomp filter, because
// they run in the container, and the program's place is what they prepare.
func (c *Container) startHooks(ctx context.Context, list []specs.Hook, st specs.State) error {
	if len(list) == 0 {
		return nil
	}
	s, err := c.dir.Config()
	if err != nil {
		return err
	}
	input, err := json.Marshal(st)
	if err != nil {
		return err
	}
	for i, h := range c.withEnv(list) {
		build := func(in, out *os.File) (*launch.Plan, error) { return c.startHookPlan(s, h, in, out) }
		if err := hookInside(ctx, h, input, build); err != nil {
			return fmt.Errorf("error running startContainer hook #%d: %s: %w", i, h.Path, err)
		}
	}
	return nil
}

func (c *Container) startHookPlan(s *specs.Spec, h specs.Hook, in, out *os.File) (*launch.Plan, error) {
	facts, acts, err := c.forExec(s, nil)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	acts.Streams = func(r *launch.Run, slotIn, slotOut launch.Slot) error {
		r.Hold(slotIn, in)
		r.Hold(slotOut, out)
		return nil
	}
	p, err := plan.CompileHook(s, h, facts, plan.Request{ID: c.ID, NoNewKeyring: c.NoKeyring}, acts)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return p.Plan, nil
}

// hookInside runs the plan that build makes for a hook, with the state on its standard input, until its end or its timeout.
func hookInside(ctx context.Context, h specs.Hook, input []byte, build func(in, out *os.File) (*launch.Plan, error)) error {
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(*h.Timeout)*time.Second, fmt.Errorf("it took longer than %d s", *h.Timeout))
		defer cancel()
	}
	in, err := stdin(input)
	if err != nil {
		return err
	}
	out, outChild, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer out.Close()
	p, err := build(in, outChild)
	if err != nil {
		return err
	}
	proc, err := start(ctx, p, launch.Options{})
	if err != nil {
		return err
	}
	defer proc.Close()
	stop := context.AfterFunc(ctx, func() { _ = proc.Signal(unix.SIGKILL) }) // it may be gone already
	defer stop()
	output := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(io.LimitReader(out, 4096)); output <- b }() // ends with the pipe, at the latest with our Close
	ws, err := proc.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ws.Exited() && ws.ExitStatus() == 0:
		return nil
	case ws.Signaled():
		return fmt.Errorf("killed by %s: %v", unix.SignalName(ws.Signal()), ws.Signal())
	}
	return fmt.Errorf("exit status %d: %s", ws.ExitStatus(), bytes.TrimSpace(<-output))
}

// stdin is a file with the text, read from its beginning.
func stdin(text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "state")
	if _, err := f.Write(text); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// hookPlan runs a createContainer hook: in the container's namespaces, before pivot_root, in the root file system's directory as
// runc has it, for hooks that say ./lib.
func hookPlan(h specs.Hook, pid int, root string, in, out *os.File) *launch.Plan {
	const target, slotIn, slotOut = 1, 2, 3
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	argv, env := launch.Strs(args), launch.Strs(h.Env)
	dup := func(s launch.Slot, fd uintptr) launch.Instr {
		return launch.Call(unix.SYS_DUP3, s, launch.Int(fd), launch.Int(0))
	}
	kinds, _ := differing(pid) // an unreadable namespace fails below, by its name
	flags := uintptr(0)
	for _, k := range kinds {
		flags |= cloneFlag(k)
	}
	p := new(launch.Plan).Add(
		launch.Step{Name: "open the container's process", Do: func(r *launch.Run) error {
			r.Hold(slotIn, in)
			r.Hold(slotOut, out)
			return holdTarget(r, &state.Process{PID: pid}, target, flags&unix.CLONE_NEWPID != 0)
		}},
		launch.Step{Name: "clone3", Clone: &launch.Clone{}},
	)
	if rest := flags &^ unix.CLONE_NEWPID; rest != 0 {
		p.Add(launch.Setns(target, rest, "the container's namespaces"))
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		p.Add(launch.BecomeRoot())
	}
	return p.Add(
		launch.Chdir(root, "the hook's working directory"),
		launch.Step{Name: "connect the streams", Side: launch.Child, Code: []launch.Instr{dup(slotIn, 0), dup(slotOut, 1), dup(slotOut, 2)}},
		launch.CloseOnExec(3),
		launch.Step{Name: "execve " + h.Path, Side: launch.Child, Code: []launch.Instr{launch.Call(unix.SYS_EXECVE, launch.Str(h.Path), argv, env)}},
	)
}

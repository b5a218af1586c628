package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/06-manager/shim"
)

// Request is what a task is made from.
type Request struct {
	Namespace, ID         string
	Program               string // the shim's
	Config                []byte // config.json
	Options               *anypb.Any
	Rootfs                []*types.Mount
	Stdin, Stdout, Stderr string
	Terminal              bool
}

// Create makes the bundle, starts the shim and has it create the container.
// Each act registers its undo; success cancels them. A caller that goes away cuts
// no act in half: the act is finished, and then undone, because nobody was promised
// anything.
func (ts *Tasks) Create(ctx context.Context, r Request) (_ *Task, err error) {
	t := newTask(shim.At(ts.State, r.Namespace, r.ID))
	if err := ts.add(t); err != nil {
		return nil, err
	}
	undo := []func(context.Context) error{func(context.Context) error { ts.drop(t); return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, unwind(ctx, undo))
			close(t.dead)
		}
	}()
	b, err := shim.Make(ts.State, r.Namespace, r.ID, r.Config, r.Program)
	if err != nil {
		return nil, err
	}
	undo = append(undo, func(context.Context) error { return b.Remove() })
	if t.log, err = ts.Launch.OpenLog(b); err != nil {
		return nil, fmt.Errorf("task %s: %w", r.ID, err)
	}
	undo = append(undo, func(context.Context) error { return t.log.Close() })
	undo = append(undo, func(ctx context.Context) error { return ts.dismiss(ctx, t) }) // a start that failed may have left a server
	p, err := ts.Launch.Start(ctx, b, r.Program, r.Options)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", r.ID, err)
	}
	client, err := shim.Dial(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", r.ID, err)
	}
	resp, err := client.Create(context.WithoutCancel(ctx), &task.CreateTaskRequest{
		ID: r.ID, Bundle: b.Dir, Rootfs: r.Rootfs, Terminal: r.Terminal,
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Options: r.Options,
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	ts.settled(t, client, resp.Pid)
	return t, nil
}

// dismiss ends the shim of a task that never came to be, if there is one.
func (ts *Tasks) dismiss(ctx context.Context, t *Task) error {
	p, err := shim.LoadParams(t.Bundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it never listened
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	client, err := shim.Dial(ctx, p)
	if err == nil {
		_, _ = client.Delete(ctx, &task.DeleteRequest{ID: t.Bundle.ID}) // most often there is no such container
		err = ts.end(ctx, client, t)
		client.Close()
	} else {
		err = nil // it has left already
	}
	_, derr := ts.Launch.Delete(ctx, t.Bundle)
	return errors.Join(err, derr)
}

// end has a shim leave that has no container of ours any more, by force if it
// does not do so by itself. One that other tasks share (a pod's) is left alone.
func (ts *Tasks) end(ctx context.Context, client *shim.Client, t *Task) error {
	if ts.shared(t) {
		return nil
	}
	id := t.Bundle.ID
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	who, _ := client.Connect(ctx, &task.ConnectRequest{ID: id})           // without an answer there is no pid
	_, _ = client.Shutdown(ctx, &task.ShutdownRequest{ID: id, Now: true}) // it ends the connection: no answer is an answer
	select {
	case <-client.Gone():
		return nil
	case <-ctx.Done():
	}
	pid := int(who.GetShimPid())
	if pid <= 1 {
		return fmt.Errorf("shim of %s does not shut down, and does not say its pid", id)
	}
	// The connection lives, so the pid is still the shim's.
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("shim of %s does not shut down: kill %d: %w", id, pid, err)
	}
	return nil
}

// shared says whether another task has the same shim.
func (ts *Tasks) shared(t *Task) bool {
	own, err := shim.LoadParams(t.Bundle)
	if err != nil {
		return false
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, other := range ts.tasks {
		if p, err := shim.LoadParams(other.Bundle); other != t && err == nil && p.Address == own.Address {
			return true
		}
	}
	return false
}

// unwind undoes in reverse, even when the caller has gone.
func unwind(ctx context.Context, undo []func(context.Context) error) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for i := len(undo) - 1; i >= 0; i-- {
		errs = append(errs, undo[i](ctx))
	}
	return errors.Join(errs...)
}

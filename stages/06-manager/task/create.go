package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
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
// Each act registers its undo; success cancels them.
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
	resp, err := client.Create(ctx, &task.CreateTaskRequest{
		ID: r.ID, Bundle: b.Dir, Rootfs: r.Rootfs, Terminal: r.Terminal,
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Options: r.Options,
	})
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
	if err != nil { // it has left already
		_, err = ts.Launch.Delete(ctx, t.Bundle)
		return err
	}
	defer client.Close()
	_, _ = client.Shutdown(ctx, &task.ShutdownRequest{ID: t.Bundle.ID, Now: true}) // it ends the connection: no answer is an answer
	select {
	case <-client.Gone():
	case <-ctx.Done():
		err = fmt.Errorf("shim of %s does not shut down: %w", t.Bundle.ID, ctx.Err())
	}
	_, derr := ts.Launch.Delete(ctx, t.Bundle)
	return errors.Join(err, derr)
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

package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/events"
	task "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
)

// leaveTime is how long a shim that was told to leave may take.
const leaveTime = 5 * time.Second

// Delete removes a stopped task, its shim and its bundle, and says how it ended.
// It is not cut in half when the caller goes away: a shim without its container
// would stay, and nobody could name it.
func (ts *Tasks) Delete(ctx context.Context, t *Task) (shim.Exit, error) {
	client, err := t.Shim(ctx)
	if err != nil {
		return t.afterDeath(ctx, "", err)
	}
	ctx = context.WithoutCancel(ctx)
	t.deleting.Lock()
	defer t.deleting.Unlock()
	resp, err := client.Delete(ctx, &task.DeleteRequest{ID: t.Bundle.ID})
	if fault.Is(fault.FromGRPC(err), fault.NotFound) { // deleted by somebody who did not live to see it
		resp, err = recorded(t.Bundle), nil
	}
	if err != nil {
		return t.afterDeath(ctx, "", err)
	}
	if !t.claim() { // its shim died in this moment
		<-t.dead
		return t.exits[""], nil
	}
	err = errors.Join(ts.leave(ctx, client, t), client.Close(), t.log.Close(), t.Bundle.Remove())
	ts.drop(t)
	exit := shim.Exit{ID: t.Bundle.ID, Pid: resp.Pid, Status: resp.ExitStatus, ExitedAt: resp.ExitedAt.AsTime()}
	t.exits = map[string]shim.Exit{"": exit}
	close(t.dead)
	return exit, err
}

// leave asks a shim to go that has lost its container; one that does not answer
// is ended. The answer is enough: a shim that other containers share stays, and
// the others wait for the connection's end.
func (ts *Tasks) leave(ctx context.Context, client *shim.Client, t *Task) error {
	limited, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	_, err := client.Shutdown(limited, &task.ShutdownRequest{ID: t.Bundle.ID})
	if err == nil || disconnected(err) {
		return nil
	}
	return ts.end(ctx, client, t)
}

// recorded is the answer of a shim that has deleted its container already: what
// exit.json says.
func recorded(b shim.Bundle) *task.DeleteResponse {
	exit, known := b.Exits()[""]
	if !known {
		exit = shim.Exit{Status: unknownStatus, ExitedAt: time.Now()}
	}
	return &task.DeleteResponse{Pid: exit.Pid, ExitStatus: exit.Status, ExitedAt: timestamppb.New(exit.ExitedAt)}
}

// Wait waits for a process to end. When the shim dies meanwhile, the answer
// comes from what the burial found.
func (t *Task) Wait(ctx context.Context, execID string) (shim.Exit, error) {
	client, err := t.Shim(ctx)
	if err != nil {
		return t.afterDeath(ctx, execID, err)
	}
	resp, err := client.Wait(ctx, &task.WaitRequest{ID: t.Bundle.ID, ExecID: execID})
	if err != nil {
		return t.afterDeath(ctx, execID, err)
	}
	return shim.Exit{ID: t.Bundle.ID, ExecID: execID, Status: resp.ExitStatus, ExitedAt: resp.ExitedAt.AsTime()}, nil
}

// afterDeath turns a broken connection into the exit that the burial found; any
// other error stays.
func (t *Task) afterDeath(ctx context.Context, execID string, err error) (shim.Exit, error) {
	if !disconnected(err) {
		return shim.Exit{}, err
	}
	select {
	case <-t.dead:
	case <-ctx.Done():
		return shim.Exit{}, errors.Join(err, ctx.Err())
	}
	exit, known := t.exits[execID]
	if !known {
		return shim.Exit{}, fmt.Errorf("task %s: process %q: its shim died and left no record: %w", t.Bundle.ID, execID, err)
	}
	return exit, nil
}

// settled makes a connected task everybody's, and watches for the death of its shim.
func (ts *Tasks) settled(t *Task, client *shim.Client, pid uint32) {
	t.setPid(pid)
	t.client = client
	close(t.ready)
	ts.wg.Go(func() {
		<-client.Gone()
		if !t.claim() {
			return
		}
		ts.Log.Warn("shim died", "namespace", t.Bundle.Namespace, "id", t.Bundle.ID)
		ts.bury(t)
	})
}

// unknownStatus is what a container gets that ended without anybody seeing how
// (containerd and Docker use the same).
const unknownStatus = 255

// bury cleans up after a dead shim: the shim's own `delete` ends what still runs
// and undoes mounts and groups, exit.json says how it ended, and everybody is told.
func (ts *Tasks) bury(t *Task) {
	b := t.Bundle
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	exits := b.Exits()
	resp, err := ts.Launch.Delete(ctx, b)
	if err != nil {
		ts.Log.Error("clean up after a dead shim", "namespace", b.Namespace, "id", b.ID, "error", err)
	}
	if _, recorded := exits[""]; !recorded {
		exits[""] = t.verdict(resp)
	}
	t.exits = exits
	ts.announce(b, exits[""])
	if t.log != nil {
		_ = t.log.Close() // a pipe that we only read
	}
	if err := b.Remove(); err != nil {
		ts.Log.Error("remove bundle", "namespace", b.Namespace, "id", b.ID, "error", err)
	}
	ts.drop(t)
	close(t.dead)
}

// verdict is the exit when the shim left no record: what its `delete` says.
func (t *Task) verdict(resp *task.DeleteResponse) shim.Exit {
	exit := shim.Exit{ID: t.Bundle.ID, Pid: t.Pid(), Status: unknownStatus, ExitedAt: time.Now()}
	if resp == nil {
		return exit
	}
	exit.Status = resp.ExitStatus
	if resp.Pid != 0 {
		exit.Pid = resp.Pid
	}
	if at := resp.ExitedAt; at.IsValid() && !at.AsTime().IsZero() && at.AsTime().Unix() > 0 {
		exit.ExitedAt = at.AsTime()
	}
	return exit
}

// announce publishes what the shim can no longer publish. It may have published
// the exit already: the events are statements, and saying one twice is harmless.
func (ts *Tasks) announce(b shim.Bundle, exit shim.Exit) {
	at := timestamppb.New(exit.ExitedAt)
	err := errors.Join(
		ts.Events.Publish(b.Namespace, "/tasks/exit", &events.TaskExit{
			ContainerID: b.ID, ID: b.ID, Pid: exit.Pid, ExitStatus: exit.Status, ExitedAt: at,
		}),
		ts.Events.Publish(b.Namespace, "/tasks/delete", &events.TaskDelete{
			ContainerID: b.ID, ID: b.ID, Pid: exit.Pid, ExitStatus: exit.Status, ExitedAt: at,
		}))
	if err != nil {
		ts.Log.Error("publish the end of a task", "namespace", b.Namespace, "id", b.ID, "error", err)
	}
}

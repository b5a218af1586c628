// Package task keeps the running side: one shim per container, started, spoken
// to, adopted after a restart, and buried when it dies. It stores nothing: what
// a task is doing is asked from its shim, and which tasks there are is read from
// the bundles.
package task

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
)

// Publisher is told what we found out ourselves; what a shim sees it publishes.
type Publisher interface {
	Publish(namespace, topic string, event proto.Message) error
}

// Launcher runs shim programs.
type Launcher interface {
	Start(ctx context.Context, b shim.Bundle, program string, options *anypb.Any) (shim.Params, error)
	Delete(ctx context.Context, b shim.Bundle) (*task.DeleteResponse, error)
	OpenLog(b shim.Bundle) (io.Closer, error)
}

// Tasks is every task of every namespace.
type Tasks struct {
	State  string // directory with the bundles
	Launch Launcher
	Events Publisher
	Log    *slog.Logger

	mu    sync.Mutex // guards tasks
	tasks map[key]*Task
	wg    sync.WaitGroup // adoptions and burials
}

type key struct{ ns, id string }

// Task is one container's shim.
type Task struct {
	Bundle shim.Bundle

	// ready is closed when client is set, or when the task turned out to be dead.
	ready  chan struct{}
	client *shim.Client // nil until ready; immutable after
	log    io.Closer    // the shim's log pipe; nil until ready

	deleting sync.Mutex // held by the one Delete that acts

	mu      sync.Mutex // guards claimed and pid
	claimed bool       // somebody is ending it: the end of the connection is no news
	pid     uint32     // of the container's first process, as last heard

	// dead is closed when the shim is gone and everything of it cleaned up; exits
	// is written before and immutable after.
	dead  chan struct{}
	exits map[string]shim.Exit
}

// answerTimeout is how long a request waits for a shim that should answer at
// once. Wait is the exception: it may wait for ever.
const answerTimeout = 10 * time.Second

func newTask(b shim.Bundle) *Task {
	return &Task{Bundle: b, ready: make(chan struct{}), dead: make(chan struct{})}
}

// add reserves the id; two creates of one id never both begin.
func (ts *Tasks) add(t *Task) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	k := key{t.Bundle.Namespace, t.Bundle.ID}
	if ts.tasks[k] != nil {
		return fault.New(fault.AlreadyExists, "task %s: already exists", t.Bundle.ID)
	}
	if ts.tasks == nil {
		ts.tasks = map[key]*Task{}
	}
	ts.tasks[k] = t
	return nil
}

func (ts *Tasks) drop(t *Task) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if k := (key{t.Bundle.Namespace, t.Bundle.ID}); ts.tasks[k] == t {
		delete(ts.tasks, k)
	}
}

// Get finds a task. Its shim may not have answered yet.
func (ts *Tasks) Get(ns, id string) (*Task, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.tasks[key{ns, id}]
	if t == nil {
		return nil, fault.New(fault.NotFound, "task %s: not found", id)
	}
	return t, nil
}

// List gives a namespace's tasks, in no order.
func (ts *Tasks) List(ns string) []*Task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var all []*Task
	for k, t := range ts.tasks {
		if k.ns == ns {
			all = append(all, t)
		}
	}
	return all
}

// Close lets go of every shim; the containers go on. It waits for burials.
func (ts *Tasks) Close() {
	ts.mu.Lock()
	for _, t := range ts.tasks {
		t.claim()
		select {
		case <-t.ready:
			if t.client != nil {
				t.client.Close()
			}
		default: // still being adopted: the process ends with us
		}
	}
	ts.mu.Unlock()
	ts.wg.Wait()
}

// claim says that the caller is the one who ends the task: a Delete, a burial,
// or Close. It is true once.
func (t *Task) claim() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.claimed
	t.claimed = true
	return first
}

// Shim waits until the task's shim is connected. A shim that does not answer
// costs its own callers answerTimeout and nobody else anything.
func (t *Task) Shim(ctx context.Context) (*shim.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	select {
	case <-t.ready:
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "task %s: its shim does not answer: %w", t.Bundle.ID, ctx.Err())
	}
	if t.client == nil {
		return nil, fmt.Errorf("task %s: %w", t.Bundle.ID, errGone)
	}
	return t.client, nil
}

// Pid of the container's first process, as last heard from the shim.
func (t *Task) Pid() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pid
}

func (t *Task) setPid(pid uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pid = pid
}

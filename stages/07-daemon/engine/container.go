package engine

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-engine/slipway/stages/07-daemon/attach"
)

// Container is one container in memory: its record, and what follows from the manager's tasks.
type Container struct {
	ID  string
	Dir string // files we make for it, beside its record

	op chan struct{} // holds one token: the right to change the container

	saving sync.Mutex // one write of the record at a time

	mu       sync.Mutex // guards all below; held for moments only, so that looking never waits for doing
	rec      Record
	task     *task       // nil: no process
	pending  *time.Timer // a restart that waits for its back-off
	removing bool
	kept     bool // it is being restarted: its end is not the end of a --rm container
	removed  chan struct{}
	nextExit chan struct{} // closed and replaced at every exit
	streams  *attach.Process
	size     [2]uint32 // terminal, width and height; zero: unknown
	execs    map[string]*Exec
	backoff  time.Duration
}

// task is a running (or just ended) init process.
type task struct {
	pid     int
	started time.Time
	paused  bool
	oom     bool
	done    chan struct{} // closed when the exit was dealt with
}

func newContainer(rec Record, dir string) *Container {
	c := &Container{
		ID: rec.ID, Dir: dir, rec: rec, op: make(chan struct{}, 1),
		removed: make(chan struct{}), nextExit: make(chan struct{}), execs: map[string]*Exec{},
	}
	c.op <- struct{}{}
	return c
}

// lock takes the right to change the container; the caller gives it back. Waiting ends with ctx.
func (c *Container) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-c.op:
		return func() { c.op <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Facts are what a container's status follows from.
type Facts struct {
	Task, Paused, Restarting, Removing, Ended bool
}

// Status derives Docker's word from the facts; the first row that fits decides.
func Status(f Facts) container.ContainerState {
	switch {
	case f.Removing:
		return container.StateRemoving
	case f.Task && f.Paused:
		return container.StatePaused
	case f.Task:
		return container.StateRunning
	case f.Restarting:
		return container.StateRestarting
	case f.Ended:
		return container.StateExited
	}
	return container.StateCreated
}

func (c *Container) factsLocked() Facts {
	return Facts{
		Task: c.task != nil, Paused: c.task != nil && c.task.paused,
		Restarting: c.pending != nil, Removing: c.removing, Ended: !c.rec.StartedAt.IsZero(),
	}
}

// View is a consistent copy of what there is to know about a container at one moment.
type View struct {
	Record
	Status  container.ContainerState
	Pid     int
	Started time.Time
	Execs   []string
	Dir     string
}

// View returns the copy; it never waits for an operation.
func (c *Container) View() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := View{Record: c.rec, Status: Status(c.factsLocked()), Started: c.rec.StartedAt, Dir: c.Dir}
	if c.task != nil {
		v.Pid, v.Started = c.task.pid, c.task.started
	}
	for id, x := range c.execs {
		if x.running() {
			v.Execs = append(v.Execs, id)
		}
	}
	return v
}

// Running tells whether a process runs (paused or not).
func (v View) Running() bool {
	return v.Status == container.StateRunning || v.Status == container.StatePaused
}

// LogPath is the json-file log.
func (v View) LogPath() string {
	if v.HostConfig.LogConfig.Type == "none" {
		return ""
	}
	return filepath.Join(v.Dir, v.ID+"-json.log")
}

func (c *Container) running() *task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.task
}

func (c *Container) keep(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = on
}

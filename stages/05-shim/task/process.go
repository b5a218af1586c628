package task

import (
	"sync"
	"time"

	api "github.com/containerd/containerd/api/types/task"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
)

// process is the container's init (execID is empty) or an exec.
type process struct {
	execID string
	stdio  stdio.Request
	spec   []byte // of an exec: runtime-spec process, as JSON

	starting sync.Mutex // held while it is started: its end is not told before its start

	mu      sync.Mutex // guards the fields below
	held    *reap.Process
	set     *stdio.Set
	started bool
	removed bool
	noStdin bool        // CloseIO has come, perhaps before the start
	exit    record.Exit // valid when ended is closed

	ended   chan struct{} // closed when the exit is recorded and its event queued
	deleted chan struct{} // closed when an exec, or an init from a checkpoint, is deleted that never ran
}

func newProcess(execID string, r stdio.Request) *process {
	return &process{execID: execID, stdio: r, ended: make(chan struct{}), deleted: make(chan struct{})}
}

// facts are what the status is derived from.
type facts struct {
	started, ended, frozen bool
}

// statusOf derives a status; it is never stored, so it cannot be stale.
func statusOf(f facts) api.Status {
	switch {
	case f.ended:
		return api.Status_STOPPED
	case !f.started:
		return api.Status_CREATED
	case f.frozen:
		return api.Status_PAUSED
	default:
		return api.Status_RUNNING
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// living is the running process; nil before its start and after its end, recorded or not.
func (p *process) living() *reap.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		return nil
	}
	select {
	case <-p.held.Done():
		return nil
	default:
		return p.held
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		return 0
	}
	return p.held.Pid
}

func (p *process) hasStarted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

func (p *process) markStarted() {
	p.mu.Lock()
	p.started = true
	p.mu.Unlock()
}

// hold notes the kernel's process and its stdio.
func (p *process) hold(held *reap.Process, set *stdio.Set) {
	p.mu.Lock()
	p.held, p.set = held, set
	if p.noStdin {
		set.CloseStdin()
	}
	p.mu.Unlock()
}

// closeStdin lets stdin end. A client may have nothing to say and close before the start.
func (p *process) closeStdin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noStdin = true
	if p.set != nil {
		p.set.CloseStdin()
	}
}

func (p *process) streams() *stdio.Set {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set
}

// release gives back what an ended process still holds.
func (p *process) release() {
	p.mu.Lock()
	held, set := p.held, p.set
	p.set = nil
	p.mu.Unlock()
	if set != nil {
		set.Close()
	}
	if held != nil {
		held.Close()
	}
}

// waitEnded waits for the recorded end, at most for within.
func (p *process) waitEnded(within time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(within):
		return false
	}
}

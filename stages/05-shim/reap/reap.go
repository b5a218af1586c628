// Package reap keeps the promise a shim makes: no exit of a process it answers for is ever lost.
//
// The runtime that starts a container leaves at once, so the container's first process becomes an
// orphan. The kernel gives orphans to the nearest living ancestor that asked for them
// (prctl(2), PR_SET_CHILD_SUBREAPER). That ancestor, and only it, can learn the exit status, once
// (wait(2)). Every process that matters is therefore held by a pidfd, which is taken while nothing
// here may reap: a process that died in the meantime is a zombie that still waits for us, and its
// status is as good as a living one's. There is no "early exit" to remember.
package reap

import (
	"fmt"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper is the waiting half of a subreaper.
type Reaper struct {
	mu        sync.Mutex
	launching int              // programs being started; nothing is reaped blindly while it is not 0
	held      map[int]*Process // by pid, from Hold until the process is reaped
	signals   chan os.Signal
	wg        sync.WaitGroup
}

// New makes this process a subreaper and starts to reap orphans nobody holds. It must come before
// the first program is started: children orphaned earlier are gone for good. Close ends the reaping.
func New() (*Reaper, error) {
	r := &Reaper{held: map[int]*Process{}, signals: make(chan os.Signal, 1)}
	//ex:begin shim.subreaper
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper (prctl PR_SET_CHILD_SUBREAPER): %w", err)
	}
	signal.Notify(r.signals, unix.SIGCHLD)
	r.wg.Go(func() {
		for range r.signals {
			r.sweep()
		}
	})
	return r, nil
	//ex:stub
	// _ = r
	// return nil, todo.Exercise("shim.subreaper")
	//ex:end shim.subreaper
}

// Close stops the reaping of orphans. Held processes can still be waited for.
func (r *Reaper) Close() {
	signal.Stop(r.signals)
	close(r.signals)
	r.wg.Wait()
}

// Launching says that programs are being started whose pids are not known yet. Until the returned
// function is called nothing is reaped blindly, so that a pid learned from a pid file or from
// os/exec still belongs to the process it was given to.
func (r *Reaper) Launching() (done func()) {
	r.mu.Lock()
	r.launching++
	r.mu.Unlock()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.launching--
		r.mu.Unlock()
		r.sweep()
	})
}

// sweep reaps the orphans that nobody holds. WNOWAIT looks at a zombie without taking it. When the
// one on top is held, its owner takes it in a moment and calls sweep again.
func (r *Reaper) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.launching == 0 {
		pid, err := waitID(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || pid == 0 || r.held[pid] != nil {
			return
		}
		if _, err := waitID(unix.P_PID, pid, unix.WEXITED|unix.WNOHANG, nil); err != nil {
			return
		}
	}
}

func (r *Reaper) forget(pid int) {
	r.mu.Lock()
	delete(r.held, pid)
	r.mu.Unlock()
	r.sweep()
}

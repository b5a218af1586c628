// Package reap lets the manager be the parent it has made itself.
//
// The manager is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): a shim's
// `start` leaves, its server becomes our child, and so does whatever a dying
// shim leaves behind. Children that nobody waits for stay zombies for ever, so
// somebody must wait for them; but wait4(-1) would also take the exit status of
// the commands that Go code is waiting for by pid. So we look first (WNOWAIT),
// and take only those that are not spoken for.
package reap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Reaper waits for orphans. All commands of the process must be started by its Run.
type Reaper struct {
	mu    sync.Mutex   // guards owned, and is held over fork so that no child is unknown
	owned map[int]bool // children that somebody waits for by pid
}

// New makes this process a subreaper.
func New() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	return &Reaper{owned: map[int]bool{}}, nil
}

// Run starts the command and waits for it. A grandchild that keeps the
// command's output open does not keep Run waiting: see exec.Cmd.WaitDelay.
func (r *Reaper) Run(cmd *exec.Cmd) error {
	if err := r.Start(cmd); err != nil {
		return err
	}
	return r.Wait(cmd)
}

// Start starts the command; Wait or Leave must follow.
func (r *Reaper) Start(cmd *exec.Cmd) error {
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = 2 * time.Second
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		r.owned[cmd.Process.Pid] = true
	}
	return err
}

// Wait waits for a started command.
func (r *Reaper) Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	r.disown(cmd.Process.Pid)
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		return nil
	}
	return err
}

// Leave lets a started command live on its own; when it ends it is reaped like an
// orphan. Its output must have ended.
func (r *Reaper) Leave(cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	defer r.disown(pid)
	return cmd.Process.Release()
}

func (r *Reaper) disown(pid int) {
	r.mu.Lock()
	delete(r.owned, pid)
	r.mu.Unlock()
}

// Serve reaps until ctx ends.
func (r *Reaper) Serve(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	for {
		again := r.sweep()
		var retry <-chan time.Time
		if again {
			// The first zombie belongs to a Run that is about to take it; others may
			// stand behind it, and no further SIGCHLD will tell.
			retry = time.After(5 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-died:
		case <-retry:
		}
	}
}

// sweep takes every zombie up to the first that is spoken for, and says whether it met one.
func (r *Reaper) sweep() (again bool) {
	for {
		r.mu.Lock()
		pid, err := peek()
		switch {
		case errors.Is(err, unix.EINTR):
			r.mu.Unlock()
			continue
		case err != nil || pid == 0: // ECHILD: no children at all
			r.mu.Unlock()
			return false
		case r.owned[pid]:
			r.mu.Unlock()
			return true
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it is a zombie: this cannot fail
		r.mu.Unlock()
	}
}

// peek names a zombie child and leaves it one (waitid(2), WNOWAIT); 0 when there is none.
func peek() (int, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo == 0 {
		return 0, err
	}
	return childPid(&info), nil
}

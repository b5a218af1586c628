package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process in the group and below it, and returns when none is left or ctx ends.
// Where the kernel has cgroup.kill (v2, Linux 5.14) a fork cannot escape it; on v1 the group is frozen
// while it is signalled, so that nothing can fork meanwhile. A group that is not there is a success.
func (g *Group) Kill(ctx context.Context) error {
	if err := g.refuseRoot("kill"); err != nil {
		return err
	}
	g.Settle()
	wait := backoff{next: 200 * time.Microsecond, max: 50 * time.Millisecond}
	for {
		left, done, err := g.killOnce(ctx)
		if done || err != nil {
			return err
		}
		if wait.sleep(ctx) != nil {
			return fmt.Errorf("kill cgroup %s: processes %v do not die: %w", g.path, left, context.Cause(ctx))
		}
	}
}

// killOnce does one round, and returns who was there before it; done means nobody was.
func (g *Group) killOnce(ctx context.Context) (left []int, done bool, err error) {
	left, err = g.AllPids()
	if gone(err) {
		return nil, true, nil
	}
	if err != nil || len(left) == 0 && !g.unseen() {
		return nil, true, err
	}
	if slices.Contains(left, os.Getpid()) {
		return nil, false, fmt.Errorf("kill cgroup %s: the caller is in it", g.path)
	}
	return left, false, ignoreGone(g.killRound(ctx))
}

// killRound signals whoever is in the group and below it now, so that nobody forks away from it: by cgroup.kill
// where the kernel has it, or frozen (a frozen process dies of SIGKILL once it is thawed). A group that will
// not freeze is signalled all the same: the next round sees what got away.
func (g *Group) killRound(ctx context.Context) error {
	//ex:begin cg.kill
	if p, ok := g.killFile(); ok {
		return p.write("cgroup.kill", "1")
	}
	f, err := g.freezer()
	if err != nil {
		return g.signalAll(unix.SIGKILL)
	}
	freezeCtx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := f.freeze(freezeCtx); gone(err) {
		return nil
	}
	return errors.Join(g.signalAll(unix.SIGKILL), ignoreGone(f.ask(false)))
	//ex:stub
	// return todo.Exercise("cg.kill")
	//ex:end cg.kill
}

// killFile finds cgroup.kill: on v2, since Linux 5.14. A hybrid's v2 tree has it too, but who joins only v1
// hierarchies is not in that tree.
func (g *Group) killFile() (place, bool) {
	p := g.places[0]
	return p, g.layout.mode == V2 && p.has("cgroup.kill")
}

// unseen: v2 knows of processes even when they are in a pid namespace that the caller cannot see.
func (g *Group) unseen() bool {
	if g.layout.mode != V2 {
		return false
	}
	events, err := g.places[0].read("cgroup.events")
	return err == nil && flatKeyed(events)["populated"] == 1
}

// signalAll signals by pidfd. A pid may be given to a stranger between the list and the pidfd, so the list is
// read again: who is in both is the process that the pidfd holds.
func (g *Group) signalAll(sig unix.Signal) error {
	first, err := g.AllPids()
	if err != nil {
		return ignoreGone(err)
	}
	held, err := hold(first)
	defer release(held)
	if err != nil {
		return err
	}
	second, err := g.AllPids()
	if err != nil {
		return ignoreGone(err)
	}
	for _, pid := range second {
		fd, ok := held[pid]
		if !ok {
			continue
		}
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != unix.ESRCH {
			return fmt.Errorf("signal %d to %d: %w", sig, pid, err)
		}
	}
	return nil
}

// descriptorsToSpare are left for reading the group's files when a group has more processes than this
// process may have descriptors.
const descriptorsToSpare = 8

// hold opens a pidfd for each process that is still there (pidfd_open(2), Linux 5.3). Of very many it holds as
// many as it can: the next round has fewer.
func hold(pids []int) (map[int]int, error) {
	held := map[int]int{}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err == unix.ESRCH {
			continue
		}
		if err == unix.EMFILE && len(held) > descriptorsToSpare {
			drop(held, descriptorsToSpare)
			return held, nil
		}
		if err != nil {
			return held, fmt.Errorf("pidfd_open %d: %w", pid, err)
		}
		held[pid] = fd
	}
	return held, nil
}

func release(held map[int]int) { drop(held, len(held)) }

// drop lets n of the processes go.
func drop(held map[int]int, n int) {
	for pid, fd := range held {
		if n--; n < 0 {
			return
		}
		unix.Close(fd)
		delete(held, pid)
	}
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

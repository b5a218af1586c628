package cgroup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Remove removes the group and all groups below it from every hierarchy. A group that is busy (a process in
// it is still dying) is tried again, ever more slowly, until ctx ends; one that is not there is a success.
// No process is signalled: see [Group.Kill].
func (g *Group) Remove(ctx context.Context) error {
	if err := g.refuseRoot("remove"); err != nil {
		return err
	}
	g.Settle()
	for _, p := range g.places {
		if err := p.remove(ctx); err != nil {
			return err
		}
	}
	if g.unit != nil {
		return g.removeUnit(ctx)
	}
	return nil
}

func (p place) remove(ctx context.Context) error {
	wait := backoff{next: time.Millisecond, max: 100 * time.Millisecond}
	for {
		err := p.rmTree()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if wait.sleep(ctx) != nil {
			pids, _ := p.allPids() // best effort: the error below is the news
			return fmt.Errorf("%w (processes inside: %v): %w", err, pids, context.Cause(ctx))
		}
	}
}

// rmTree tries once, children first. The common leaf is one system call.
func (p place) rmTree() error {
	err := p.rmdir()
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	below, listErr := p.children()
	if listErr != nil && !gone(listErr) {
		return listErr
	}
	if len(below) == 0 {
		return err
	}
	for _, c := range below {
		if err := c.rmTree(); err != nil {
			return err
		}
	}
	return p.rmdir()
}

// rmdir removes one directory; that it is not there is what was wanted.
func (p place) rmdir() error {
	_, err := p.do(func(root int) (int, error) { return 0, unix.Unlinkat(root, p.rel, unix.AT_REMOVEDIR) })
	if err != nil && err != unix.ENOENT {
		return p.fail("rmdir", "", err)
	}
	return nil
}

// backoff waits longer each time, up to max.
type backoff struct{ next, max time.Duration }

// sleep returns the context's error when it ended first.
func (b *backoff) sleep(ctx context.Context) error {
	timer := time.NewTimer(b.next)
	defer timer.Stop()
	b.next = min(b.next*2, b.max)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

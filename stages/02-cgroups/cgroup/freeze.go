package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Freeze stops every process in the group and below it, and returns when all of them stand still. If ctx ends
// first the group is thawed again. A caller that is inside itself is refused.
func (g *Group) Freeze(ctx context.Context) error {
	if err := g.refuseRoot("freeze"); err != nil {
		return err
	}
	f, err := g.freezer()
	if err != nil {
		return err
	}
	pids, err := f.allPids()
	if err != nil {
		return err
	}
	if slices.Contains(pids, os.Getpid()) {
		return fmt.Errorf("freeze cgroup %s: the caller is in it", g.path)
	}
	if err := f.freeze(ctx); err != nil {
		thawCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return errors.Join(err, f.thaw(thawCtx))
	}
	return nil
}

// Thaw lets the processes of the group go on, and returns when they do. A frozen group above it wins.
func (g *Group) Thaw(ctx context.Context) error {
	f, err := g.freezer()
	if err != nil {
		return err
	}
	return f.thaw(ctx)
}

// Frozen reports whether every process of the group stands still, by its own setting or one above it.
func (g *Group) Frozen() (bool, error) {
	f, err := g.freezer()
	if err != nil {
		return false, err
	}
	return f.frozen()
}

// freezer is a group where it can be frozen: v1's controller, or any v2 group but the root.
type freezer struct{ place }

func (g *Group) freezer() (freezer, error) {
	for _, p := range g.places { // v1's comes first
		if p.tree.serves("freezer") && p.exists() {
			return freezer{p}, nil
		}
	}
	if !g.Exists() {
		return freezer{}, &os.PathError{Op: "freeze", Path: "cgroup " + g.path, Err: fs.ErrNotExist}
	}
	return freezer{}, &NoControllerError{Controller: "freezer", For: "freezing " + g.path, Why: "no mounted hierarchy has it"}
}

// ask writes the wish; the kernel fulfils it in its own time.
func (f freezer) ask(frozen bool) error {
	if f.tree.version == 2 {
		return f.write("cgroup.freeze", map[bool]string{true: "1", false: "0"}[frozen])
	}
	return f.write("freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[frozen])
}

// frozen: v2 reports it in cgroup.events; on v1 FREEZING means that some process still runs.
func (f freezer) frozen() (bool, error) {
	if f.tree.version == 2 {
		events, err := f.read("cgroup.events")
		return flatKeyed(events)["frozen"] == 1, err
	}
	state, err := f.read("freezer.state")
	return strings.TrimSpace(state) == "FROZEN", err
}

// freeze waits for the last process. On v1 a wish can hang when it meets a fork or a vfork at the wrong
// moment; a short thaw in between helps it on.
func (f freezer) freeze(ctx context.Context) error {
	wait := backoff{next: 50 * time.Microsecond, max: 10 * time.Millisecond}
	if err := f.ask(true); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if done, err := f.frozen(); done || err != nil {
			return err
		}
		if err := wait.sleep(ctx); err != nil {
			return fmt.Errorf("freeze %s: some process does not stop: %w", f, context.Cause(ctx))
		}
		if f.tree.version == 2 {
			continue
		}
		if try%50 == 0 {
			if err := f.ask(false); err != nil {
				return err
			}
			time.Sleep(10 * time.Microsecond)
		}
		if err := f.ask(true); err != nil { // again, for those that were forked meanwhile
			return err
		}
	}
}

func (f freezer) thaw(ctx context.Context) error {
	wait := backoff{next: 50 * time.Microsecond, max: 10 * time.Millisecond}
	if err := f.ask(false); err != nil {
		return err
	}
	for {
		if frozen, err := f.frozen(); !frozen || err != nil {
			return err
		}
		if err := wait.sleep(ctx); err != nil {
			return fmt.Errorf("thaw %s: a group above it is frozen: %w", f, context.Cause(ctx))
		}
	}
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// acts are the parent's steps.
func (c *creation) acts(ctx context.Context) plan.Acts {
	return plan.Acts{
		MakeCgroup:    func(*launch.Run) error { return c.makeGroup(ctx) },
		RemoveCgroup:  func(*launch.Run) error { return c.removeFailed(ctx) },
		OpenCgroup:    func(r *launch.Run, s launch.Slot) error { return holdCgroup(r, c.group, s) },
		JoinFiles:     func(r *launch.Run, s []launch.Slot) error { return holdJoinFiles(r, c.group, s) },
		MoveIn:        moveIn(c.group, ""),
		Settle:        func(*launch.Run) error { return c.settle() },
		ConsoleSocket: func(r *launch.Run, s launch.Slot) error { return holdTerminal(r, c.opts.Terminal, s) },
		Attach:        func(*launch.Run) error { return c.opts.Attach() },
		JoinResctrl:   func(r *launch.Run) error { return c.Resctrl.Join(r.PID()) },
		LeaveResctrl:  func(*launch.Run) error { return c.Resctrl.Remove() },
		Listen:        c.listen,
		RuntimeHooks: func(r *launch.Run) error {
			// runtime-spec runtime.md: "created" begins after step 2 of the lifecycle, prestart is step 3; its readers expect it
			early := c.ociState(lifecycle.Created, r.PID())
			if err := runHooks(ctx, "prestart", c.spec.Hooks.Prestart, early); err != nil { //nolint:staticcheck // Docker uses prestart
				return err
			}
			return runHooks(ctx, "createRuntime", c.spec.Hooks.CreateRuntime, c.ociState(lifecycle.Creating, r.PID()))
		},
		InsideHooks: func(r *launch.Run) error {
			return c.hooksInside(ctx, "createContainer", c.spec.Hooks.CreateContainer, c.ociState(lifecycle.Creating, r.PID()))
		},
		Record: func(r *launch.Run) error {
			var err error
			if c.Process, err = state.Identify(r.PID()); err != nil {
				return err
			}
			c.Late = c.late
			return c.dir.Put(c.Record)
		},
	}
}

// empty refuses a group in which somebody lives: pause, kill and delete would hit them, too.
func empty(g *cgroup.Group) error {
	if !g.Exists() {
		return nil
	}
	pids, err := g.AllPids()
	if err == nil && len(pids) > 0 {
		return fmt.Errorf("container's cgroup is not empty: %d process(es) found", len(pids))
	}
	if frozen, err := g.Frozen(); err == nil && frozen {
		return errors.New("container's cgroup unexpectedly frozen: whoever joined it would never go on")
	}
	return nil // it went meanwhile, or Create will say what is wrong with it
}

func holdCgroup(r *launch.Run, g *cgroup.Group, s launch.Slot) error {
	dirs := g.Dirs()
	dir := dirs[len(dirs)-1]
	if dir.Version != 2 {
		return errors.New("no cgroup v2 tree is mounted")
	}
	f, err := os.Open(dir.Path)
	if err != nil {
		return err
	}
	r.Hold(s, f)
	return nil
}

func holdJoinFiles(r *launch.Run, g *cgroup.Group, slots []launch.Slot) error {
	files, err := g.JoinFiles()
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f *os.File) bool { // the v2 tree is joined by being born there
		return filepath.Base(f.Name()) == "cgroup.procs" && f.Close() == nil
	})
	if len(files) != len(slots) {
		for _, f := range files {
			_ = f.Close() // the mismatch is the error
		}
		return fmt.Errorf("%d hierarchies now, %d when the plan was made", len(files), len(slots))
	}
	for i, f := range files {
		r.Hold(slots[i], f)
	}
	return nil
}

func holdTerminal(r *launch.Run, t Terminal, s launch.Slot) error {
	f, err := t()
	if err != nil {
		return err
	}
	r.Hold(s, f)
	return nil
}

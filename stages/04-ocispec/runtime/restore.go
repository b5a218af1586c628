package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/devices"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// RestoreOptions are what restore is asked for.
type RestoreOptions struct {
	CRIUOptions
	ID, Bundle      string
	Terminal        Terminal // as in CreateOptions
	IfTerminal      bool
	Attach          func() error
	PIDFile         string
	LSMProfile      string // TYPE:NAME, another one than the images say (criu(8), --lsm-profile)
	LSMMountContext string
}

// restoration is a container that is being restored.
type restoration struct {
	*creation
	opts      RestoreOptions
	job       *criuJob
	externals []plan.External
	inherited []*os.File // criu's descriptors from 4 on: namespaces that it shall not restore
	made      bool       // the cgroup is there, and ours
	pid       int        // of the first process, once it is there
}

// Restore makes a container whose processes come from the files of a checkpoint; they run when it returns. The first one is a
// child of the caller. When it fails, nothing is left of it.
func (rt *Runtime) Restore(ctx context.Context, opts RestoreOptions) (proc *launch.Process, err error) {
	s, err := rt.load(opts.Bundle)
	if err != nil {
		return nil, err
	}
	create := CreateOptions{ID: opts.ID, Bundle: opts.Bundle, Terminal: opts.Terminal, IfTerminal: opts.IfTerminal, Attach: opts.Attach, PIDFile: opts.PIDFile}
	if err := create.checkTerminal(s.Process); err != nil {
		return nil, err
	}
	facts, group, err := rt.Facts(s.Spec, opts.ID)
	if err != nil {
		return nil, err
	}
	externals, err := plan.Externals(s.Spec, facts)
	if err != nil {
		return nil, err
	}
	job, err := rt.newCRIUJob(opts.CRIUOptions, "restore.log", false)
	if err != nil {
		return nil, err
	}
	defer job.Close()
	c, err := rt.reserve(create, s, group)
	if err != nil {
		return nil, err
	}
	r := &restoration{creation: c, opts: opts, job: job, externals: externals}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.undo(ctx), c.dir.Remove())
		}
		err = errors.Join(err, c.Close())
	}()
	if err := r.perform(ctx, facts); err != nil {
		return nil, err
	}
	return c.proc, c.announce()
}

// perform does what create does around its plan: budget, mount points; then criu has the word.
func (r *restoration) perform(ctx context.Context, facts plan.Facts) error {
	if r.group != nil {
		if err := empty(r.group); err != nil {
			return err
		}
		if err := r.group.Create(); err != nil {
			return err
		}
		r.made = true
		if err := r.group.Set(devices.Allow(r.spec.Linux.Resources)); err != nil {
			return err
		}
	}
	if err := r.mountPoints(ctx, facts); err != nil {
		return err
	}
	request, err := r.request()
	defer r.closeInherited()
	if err != nil {
		return err
	}
	if err := r.run(ctx, request); err != nil {
		r.job.quoteLog()
		return err
	}
	return nil
}

// undo ends what criu may have restored already, and gives the cgroup back.
func (r *restoration) undo(ctx context.Context) error {
	if !r.made {
		return nil
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := r.group.Kill(ctx)
	if r.pid != 0 {
		var ws unix.WaitStatus
		_, _ = unix.Wait4(r.pid, &ws, 0, nil) // it is ours, unless somebody has reaped it
	}
	return errors.Join(err, r.group.Remove(ctx))
}

// mountPoints makes what the container's mounts lie on: since the checkpoint it may have gone.
func (r *restoration) mountPoints(ctx context.Context, facts plan.Facts) error {
	p, err := plan.MountPoints(r.spec.Spec, facts)
	if err != nil {
		return err
	}
	proc, err := start(ctx, p, launch.Options{})
	if err != nil {
		return fmt.Errorf("mount points: %w", err)
	}
	_, err = proc.Wait()
	return errors.Join(err, proc.Close())
}

// run starts criu inside the container's budget and waits until it has put everything in its place.
func (r *restoration) run(ctx context.Context, request *criu.Request) (err error) {
	ours, theirs, err := criu.Socket()
	if err != nil {
		return err
	}
	defer ours.Close()
	if err := os.Mkdir(r.root(), 0o755); err != nil {
		return errors.Join(err, theirs.Close())
	}
	hold := func(run *launch.Run, slots []launch.Slot) error {
		run.Hold(slots[0], theirs)
		for i, f := range r.inherited {
			run.Hold(slots[i+1], f)
		}
		r.inherited = nil // they are the launch's now
		return nil
	}
	proc, err := start(ctx, plan.CRIU(r.job.program, r.spec.Root.Path, r.root(), r.externals, hold, 1+len(r.inherited)), launch.Options{})
	if err != nil {
		return err
	}
	defer proc.Close()
	stop := context.AfterFunc(ctx, func() { _ = proc.Signal(unix.SIGKILL) }) // it may have ended
	defer stop()
	err = errors.Join(r.joinBudget(proc.PID(), request.Options), r.job.openAgain(proc.PID(), request.Options))
	if err == nil {
		_, err = criu.Do(ours, request, func(resp *criu.Response, f *os.File) error { return r.moment(ctx, resp, f) })
	}
	err = errors.Join(err, ours.Close())
	ws, waitErr := proc.Wait()
	switch {
	case err != nil || waitErr != nil:
		return errors.Join(err, waitErr)
	case !ws.Exited() || ws.ExitStatus() != 0:
		return fmt.Errorf("criu failed: exit status %d", exitStatus(ws))
	case r.proc == nil:
		return errors.New("criu has restored nothing")
	}
	return errors.Join(os.Remove(r.root()))
}

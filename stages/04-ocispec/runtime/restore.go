package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/devices"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
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

func (r *restoration) closeInherited() {
	for _, f := range r.inherited {
		_ = f.Close() // criu has its copies
	}
}

// root is where criu finds the root file system, in its own mount namespace.
func (r *restoration) root() string { return filepath.Join(r.dir.Path, "criu-root") }

func (r *restoration) request() (*criu.Request, error) {
	o := r.job.base()
	o.Root, o.EvasiveDevices, o.Sibling = r.root(), true, true
	o.ConfigFile, o.LSMProfile, o.LSMMountContext = configFile(r.Annotations), r.opts.LSMProfile, r.opts.LSMMountContext
	if o.LSMProfile != "" || o.LSMMountContext != "" {
		if err := r.job.need(lsmCRIU, "--lsm-profile and --lsm-mount-context"); err != nil {
			return nil, err
		}
	}
	o.ExternalMounts = restoreMounts(r.externals)
	if err := r.namespaces(o); err != nil {
		return nil, err
	}
	var err error
	o.InheritFDs, err = r.streams(o.InheritFDs)
	return &criu.Request{Type: criu.Restore, Options: o}, err
}

// namespaces gives criu those that config.json joins.
func (r *restoration) namespaces(o *criu.Options) error {
	for _, n := range r.spec.Linux.Namespaces {
		switch {
		case n.Path == "":
		case n.Type == specs.NetworkNamespace || n.Type == specs.PIDNamespace:
			if err := r.job.needExternal(n.Type); err != nil {
				return err
			}
			f, err := os.Open(n.Path)
			if err != nil {
				return fmt.Errorf("requested %s namespace %s: %w", n.Type, n.Path, err)
			}
			r.inherited = append(r.inherited, f)
			o.InheritFDs = append(o.InheritFDs, criu.InheritFD{Key: externalKey(n.Type), FD: 3 + len(r.inherited)})
		case n.Type == specs.CgroupNamespace:
			return fmt.Errorf("linux.namespaces: criu cannot join the cgroup namespace %s", n.Path)
		default:
			o.JoinNamespaces = append(o.JoinNamespaces, criu.Pair{Key: namespaceFiles()[n.Type], Value: n.Path})
		}
	}
	return nil
}

// streams puts our own standard streams in the place of the pipes that the container's were.
func (r *restoration) streams(list []criu.InheritFD) ([]criu.InheritFD, error) {
	f, err := os.Open(filepath.Join(r.job.opts.ImagePath, descriptorsName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	if err := json.NewDecoder(io.LimitReader(f, maxDescriptors)).Decode(&names); err != nil {
		return nil, fmt.Errorf("%s: %w", descriptorsName, err)
	}
	pipe := regexp.MustCompile(`^pipe:\[\d+\]$`)
	for fd, name := range names[:min(len(names), 3)] {
		if pipe.MatchString(name) {
			list = append(list, criu.InheritFD{Key: name, FD: fd})
		}
	}
	return list, nil
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

// joinBudget moves criu into the container's cgroup, and tells it where that is: what it restores belongs there.
func (r *restoration) joinBudget(pid int, o *criu.Options) error {
	if r.group == nil {
		return nil
	}
	if err := r.group.Join(pid); err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) { // number:controllers:path, cgroups(7)
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 {
			o.CgroupRoots = append(o.CgroupRoots, criu.Pair{Key: f[1], Value: f[2]})
		}
	}
	return nil
}

// moment is what criu waits for: the hooks, the record, the terminal's way.
func (r *restoration) moment(ctx context.Context, resp *criu.Response, f *os.File) error {
	if f != nil {
		defer f.Close()
	}
	switch resp.Script {
	case "setup-namespaces":
		if r.spec.Hooks == nil {
			return nil
		}
		st := r.ociState(lifecycle.Created, resp.PID)
		if err := runHooks(ctx, "prestart", r.spec.Hooks.Prestart, st); err != nil { //nolint:staticcheck // Docker uses prestart
			return err
		}
		return runHooks(ctx, "createRuntime", r.spec.Hooks.CreateRuntime, r.ociState(lifecycle.Creating, resp.PID))
	case "post-restore":
		return r.restored(resp.PID)
	case "orphan-pts-master":
		return r.sendTerminal(f)
	}
	return nil
}

// restored records the first process, which does not run yet.
func (r *restoration) restored(pid int) (err error) {
	r.pid = pid
	if err := stillReadonly(pid, r.externals); err != nil {
		return err
	}
	if r.Process, err = state.Identify(pid); err != nil {
		return err
	}
	if err := r.dir.Put(r.Record); err != nil {
		return err
	}
	r.proc, err = launch.Adopt(pid)
	return err
}

// sendTerminal passes the master of the terminal that the container had to whoever asked for it.
func (r *restoration) sendTerminal(master *os.File) error {
	if master == nil {
		return errors.New("a terminal without a descriptor")
	}
	if r.creation.opts.Terminal == nil {
		return errors.New("the container has a terminal: cannot restore it without a console socket")
	}
	socket, err := r.creation.opts.Terminal()
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := unix.Sendmsg(int(socket.Fd()), []byte("/dev/ptmx"), unix.UnixRights(int(master.Fd())), nil, 0); err != nil {
		return fmt.Errorf("send the terminal: %w", err)
	}
	if r.creation.opts.Attach != nil {
		return r.creation.opts.Attach()
	}
	return nil
}

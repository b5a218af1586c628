package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
	"github.com/slipway-engine/slipway/stages/05-shim/rootfs"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
)

// Create mounts the root file system and lets the runtime make the container. Its first process
// waits for Start and is ours from here on. A container from a checkpoint has no process before Start, and pid 0.
func (s *Service) Create(_ context.Context, r *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	if err := checkID("container", r.ID); err != nil {
		return nil, err
	}
	undo, err := s.reserve(r.ID)
	if err != nil {
		return nil, err
	}
	c, err := s.create(r)
	if err != nil {
		undo()
		return nil, failed("create container "+r.ID, err)
	}
	pid := uint32(c.init.pid())
	s.Events.Publish(topicCreate, &events.TaskCreate{
		ContainerID: r.ID, Bundle: r.Bundle, Rootfs: r.Rootfs, Pid: pid,
		IO:         &events.TaskIO{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal},
		Checkpoint: r.Checkpoint,
	})
	s.keep(c)
	if c.restore == nil {
		s.watch(c, c.init, c.init.held)
	}
	return &api.CreateTaskResponse{Pid: pid}, nil
}

func (s *Service) create(r *api.CreateTaskRequest) (_ *container, err error) {
	opts, err := ParseOptions(r.Options)
	if err != nil {
		return nil, err
	}
	launch := Launch{Program: opts.Program, Root: opts.Root, SystemdCgroup: opts.SystemdCgroup, Mounted: len(r.Rootfs) > 0}
	launch.fill(s.Config)
	c := &container{
		id: r.ID, bundle: r.Bundle, runtime: launch.runtime(s.Config), execs: map[string]*process{},
		init: newProcess("", stdio.Request{
			Namespace: s.Namespace, ID: r.ID, Terminal: r.Terminal,
			Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, UID: opts.IoUID, GID: opts.IoGID,
		}),
	}
	if err := c.readSpec(); err != nil {
		return nil, err
	}
	if err := launch.write(c.bundle); err != nil { // before anything it would have to undo
		return nil, err
	}
	if err := s.mountRoot(r.Rootfs, c.rootfs()); err != nil {
		return nil, err
	}
	removeFiles(c.pidFile(), filepath.Join(c.bundle, record.Name(""))) // of an earlier life in this bundle
	if r.Checkpoint != "" {
		err = s.prepareRestore(c, r.Checkpoint, opts)
	} else {
		err = s.createInit(c, opts)
	}
	if err != nil {
		if launch.Mounted {
			err = errors.Join(err, rootfs.Unmount(c.rootfs()))
		}
		return nil, err
	}
	return c, nil
}

// mountRoot reaps nothing meanwhile: a mount for a user namespace needs a child.
func (s *Service) mountRoot(mounts []*types.Mount, target string) error {
	defer s.Reaper.Launching()()
	return rootfs.Mount(mounts, target)
}

// createInit runs the runtime's create.
func (s *Service) createInit(c *container, opts Options) error {
	set, err := s.Streams.Open(c.init.stdio)
	if err != nil {
		return err
	}
	return s.takeInit(c, set, func(pidFile string, std oci.Stdio) error {
		return c.runtime.Create(c.id, c.bundle, oci.CreateOptions{
			PidFile: pidFile, ConsoleSocket: set.ConsolePath(), NoPivot: opts.NoPivot,
			NoNewKeyring: opts.NoNewKeyring, Stdio: std,
		})
	})
}

// takeInit takes hold of the first process that a run of the runtime leaves behind. On error nothing is left, and set is closed.
func (s *Service) takeInit(c *container, set *stdio.Set, run func(pidFile string, std oci.Stdio) error) error {
	in, out, errOut := set.Child()
	held, err := s.adopt(c.pidFile(), func() error {
		return run(c.pidFile(), oci.Stdio{In: in, Out: out, Err: errOut})
	})
	if err == nil {
		err = set.Begin()
	}
	if err != nil {
		s.discard(c, held)
		set.Close()
		return err
	}
	c.init.hold(held, set)
	s.findGroup(c, held.Pid)
	return nil
}

// discard removes what a failed create may have left.
func (s *Service) discard(c *container, held *reap.Process) {
	if err := c.runtime.Delete(c.id, c.bundle, true); err != nil {
		s.Log.Debug("remove what is left of a container", "container", c.id, "err", err)
	}
	if held != nil {
		held.Close()
	}
}

// adopt runs a runtime that leaves a process behind, and holds that process by its pid file. From
// before the program starts until the process is held nothing is reaped, so however early it
// ended, its exit is still there to be learned.
func (s *Service) adopt(pidFile string, run func() error) (*reap.Process, error) {
	defer s.Reaper.Launching()()
	if err := run(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, fmt.Errorf("the runtime wrote no pid: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return nil, fmt.Errorf("the runtime wrote %q into %s, which is no pid", data, pidFile)
	}
	return s.Reaper.Hold(pid)
}

// findGroup notes the control group the runtime has put init into.
func (s *Service) findGroup(c *container, pid int) {
	if s.Cgroups == nil {
		return
	}
	group, err := s.Cgroups.Of(pid)
	if err != nil {
		s.Log.Debug("no control group for statistics", "container", c.id, "err", err)
		return
	}
	c.group.Store(group)
	s.watchOOM(c)
}

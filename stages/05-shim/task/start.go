package task

import (
	"context"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
	"github.com/slipway-engine/slipway/stages/05-shim/sidecar"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
)

// Start lets a created process run.
func (s *Service) Start(_ context.Context, r *api.StartRequest) (*api.StartResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	p.starting.Lock() // released when its start is told, so that its end comes after
	defer p.starting.Unlock()
	if p.hasStarted() || p.hasEnded() {
		return nil, conflict("process %s of container %s was started before", r.ExecID, r.ID)
	}
	if p == c.init {
		err = s.startInit(c)
	} else {
		err = s.startExec(c, p)
	}
	if err != nil {
		return nil, failed("start "+name(c, p), err)
	}
	pid := uint32(p.pid())
	if p == c.init {
		s.Events.Publish(topicStart, &events.TaskStart{ContainerID: c.id, Pid: pid})
	} else {
		s.Events.Publish(topicExecStarted, &events.TaskExecStarted{ContainerID: c.id, ExecID: p.execID, Pid: pid})
	}
	return &api.StartResponse{Pid: pid}, nil
}

func name(c *container, p *process) string {
	if p == c.init {
		return "container " + c.id
	}
	return "process " + p.execID + " in container " + c.id
}

func (s *Service) startInit(c *container) error {
	if c.helper != nil {
		beside, err := sidecar.Start(*c.helper, s.Reaper, s.Log)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.beside = beside
		c.mu.Unlock()
	}
	if err := s.begin(c); err != nil {
		s.endSidecar(&ending{c: c})
		return err
	}
	c.init.markStarted()
	return nil
}

// begin opens the start gate, or restores what has none.
func (s *Service) begin(c *container) error {
	if c.restore != nil {
		return s.restoreInit(c)
	}
	return c.runtime.Start(c.id, c.bundle)
}

// Exec adds a process to a container; Start runs it.
func (s *Service) Exec(_ context.Context, r *api.ExecProcessRequest) (*emptypb.Empty, error) {
	if err := checkID("exec", r.ExecID); err != nil {
		return nil, err
	}
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	p := newProcess(r.ExecID, stdio.Request{
		Namespace: s.Namespace, ID: r.ID, Terminal: r.Terminal,
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, UID: c.init.stdio.UID, GID: c.init.stdio.GID,
	})
	p.spec = r.Spec.GetValue()
	if err := c.addExec(p); err != nil {
		return nil, err
	}
	s.Events.Publish(topicExecAdded, &events.TaskExecAdded{ContainerID: c.id, ExecID: r.ExecID})
	return &emptypb.Empty{}, nil
}

func (c *container) addExec(p *process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return conflict("container %s is not running", c.id)
	}
	if c.execs[p.execID] != nil {
		return exists("process %s in container %s", p.execID, c.id)
	}
	c.execs[p.execID] = p
	return nil
}

// execFiles are an exec's files in the bundle.
func (c *container) execFile(p *process, suffix string) string {
	return filepath.Join(c.bundle, "exec-"+p.execID+suffix)
}

func (s *Service) startExec(c *container, p *process) error {
	c.execsMu.RLock()
	defer c.execsMu.RUnlock()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return conflict("container %s is not running", c.id)
	}
	set, err := s.Streams.Open(p.stdio)
	if err != nil {
		return err
	}
	if err := s.runExec(c, p, set); err != nil {
		set.Close()
		c.removeExecFiles(p)
		return err
	}
	return nil
}

func (s *Service) runExec(c *container, p *process, set *stdio.Set) error {
	processFile, pidFile := c.execFile(p, ".json"), c.execFile(p, ".pid")
	if err := os.WriteFile(processFile, p.spec, 0o600); err != nil {
		return err
	}
	in, out, errOut := set.Child()
	held, err := s.adopt(pidFile, func() error {
		return c.runtime.Exec(c.id, oci.ExecOptions{
			LogFile: c.execFile(p, ".log"), ProcessFile: processFile, PidFile: pidFile,
			ConsoleSocket: set.ConsolePath(), Stdio: oci.Stdio{In: in, Out: out, Err: errOut},
		})
	})
	if err != nil {
		return err
	}
	p.hold(held, set)
	p.markStarted()
	s.watch(c, p, held)
	if err := set.Begin(); err != nil {
		s.Log.Error("stdio of an exec", "container", c.id, "exec", p.execID, "err", err)
	}
	return nil
}

func (c *container) removeExecFiles(p *process) {
	removeFiles(c.execFile(p, ".json"), c.execFile(p, ".pid"), c.execFile(p, ".log"),
		filepath.Join(c.bundle, record.Name(p.execID)))
}

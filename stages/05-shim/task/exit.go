package task

import (
	"context"
	"time"

	"github.com/containerd/containerd/api/events"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
)

// Topics of containerd's events.
const (
	topicCreate       = "/tasks/create"
	topicStart        = "/tasks/start"
	topicExit         = "/tasks/exit"
	topicDelete       = "/tasks/delete"
	topicExecAdded    = "/tasks/exec-added"
	topicExecStarted  = "/tasks/exec-started"
	topicOOM          = "/tasks/oom"
	topicPaused       = "/tasks/paused"
	topicCheckpointed = "/tasks/checkpointed"
	topicResumed      = "/tasks/resumed"
)

const (
	// drainWithin bounds the wait for output that an ended process has written. It is longer than
	// a stopped client of a tee is waited for, so that the log behind it is complete.
	drainWithin = 12 * time.Second
	// execsEndWithin bounds the wait for execs when init has ended and they were killed.
	execsEndWithin = 10 * time.Second
)

// ending is one process on its way out.
type ending struct {
	c    *container
	p    *process
	exit reap.Exit
	oom  bool
}

// step is one act of an ending.
type step struct {
	name string
	init bool // only when the process is the container's init
	do   func(*Service, *ending)
}

// endSteps is everything that happens when a process has ended, in this order. Who is told of an
// exit may rely on what stands above it.
func endSteps() []step {
	return []step{
		{name: "refuse new execs", init: true, do: (*Service).refuseExecs},
		{name: "end what shares the host's pids", init: true, do: (*Service).killStrays},
		{name: "wait for the execs' endings", init: true, do: (*Service).awaitExecs},
		{name: "deliver the last output", do: (*Service).drain},
		{name: "end the sidecar", init: true, do: (*Service).endSidecar},
		{name: "tell of memory running out", init: true, do: (*Service).tellOOM},
		{name: "write the exit record", do: (*Service).recordExit},
		{name: "publish the exit", do: (*Service).publishExit},
		{name: "answer those who wait", do: (*Service).answer},
	}
}

// watch owns a process from its start to its end.
func (s *Service) watch(c *container, p *process, held *reap.Process) {
	s.wg.Go(func() {
		e := &ending{c: c, p: p, exit: held.Exit()}
		p.starting.Lock() // its start is told first
		defer p.starting.Unlock()
		for _, step := range endSteps() {
			if step.init && p != c.init {
				continue
			}
			s.Log.Debug("process ended", "container", c.id, "exec", p.execID, "step", step.name)
			step.do(s, e)
		}
	})
}

func (s *Service) refuseExecs(e *ending) {
	e.c.execsMu.Lock() // waits for execs that are just being started
	defer e.c.execsMu.Unlock()
	e.c.mu.Lock()
	e.c.closed = true
	e.c.mu.Unlock()
}

// killStrays ends the processes of a container without a pid namespace of its own; with one, the
// kernel has killed them all when its init died (pid_namespaces(7)).
func (s *Service) killStrays(e *ending) {
	if e.c.ownPids {
		return
	}
	if err := e.c.runtime.Kill(e.c.id, e.c.bundle, uint32(unix.SIGKILL), true); err != nil {
		s.Log.Debug("end the container's other processes", "container", e.c.id, "err", err)
	}
}

func (s *Service) awaitExecs(e *ending) {
	for _, p := range e.c.listExecs() {
		if p.hasStarted() && !p.waitEnded(execsEndWithin) {
			s.Log.Warn("an exec outlives its container", "container", e.c.id, "exec", p.execID)
		}
	}
}

func (s *Service) drain(e *ending) {
	if set := e.p.streams(); set != nil && !set.Drain(drainWithin) {
		s.Log.Warn("output is still waiting for its reader", "container", e.c.id, "exec", e.p.execID)
	}
}

func (s *Service) endSidecar(e *ending) {
	e.c.mu.Lock()
	beside := e.c.beside
	e.c.beside = nil
	e.c.mu.Unlock()
	if beside != nil {
		beside.Stop()
	}
}

func (s *Service) tellOOM(e *ending) {
	if e.c.oomStop != nil {
		e.c.oomStop()
		e.c.oomWatch.Wait()
	}
	if e.oom = e.c.oomKills() > 0; e.oom {
		s.publishOOM(e.c)
	}
}

func (s *Service) recordExit(e *ending) {
	e.p.mu.Lock()
	e.p.exit = record.Exit{
		ID: e.c.id, ExecID: e.p.execID, Pid: e.p.held.Pid,
		Status: e.exit.Status, ExitedAt: e.exit.At.UTC(), OOMKilled: e.oom,
	}
	exit := e.p.exit
	e.p.mu.Unlock()
	if err := exit.Write(e.c.bundle); err != nil {
		s.Log.Error("the exit is known to this process only", "err", err)
	}
}

func (s *Service) publishExit(e *ending) {
	id := e.p.execID
	if id == "" {
		id = e.c.id
	}
	s.Events.Publish(topicExit, &events.TaskExit{
		ContainerID: e.c.id, ID: id, Pid: uint32(e.p.exit.Pid),
		ExitStatus: uint32(e.exit.Status), ExitedAt: timestamppb.New(e.exit.At),
	})
}

func (s *Service) answer(e *ending) { close(e.p.ended) }

// watchOOM turns the kernel's notices into events while the container lives.
func (s *Service) watchOOM(c *container) {
	group := c.group.Load()
	if group == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	notices, err := group.OOM(ctx)
	if err != nil {
		stop()
		s.Log.Debug("no notice when memory runs out", "container", c.id, "err", err)
		return
	}
	c.oomStop = stop
	c.oomWatch.Go(func() {
		for range notices {
			s.publishOOM(c)
		}
	})
}

// publishOOM tells of a container's want of memory, once.
func (s *Service) publishOOM(c *container) {
	c.mu.Lock()
	told := c.oomTold
	c.oomTold = true
	c.mu.Unlock()
	if !told {
		s.Events.Publish(topicOOM, &events.TaskOOM{ContainerID: c.id})
	}
}

package task

import (
	"context"
	"errors"
	"time"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
	"github.com/slipway-engine/slipway/stages/05-shim/rootfs"
)

// Delete takes away an ended process, or one that was never started.
func (s *Service) Delete(_ context.Context, r *api.DeleteRequest) (*api.DeleteResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if p == c.init {
		err = s.deleteInit(c)
	} else {
		err = s.deleteExec(c, p)
	}
	if err != nil {
		return nil, failed("delete "+name(c, p), err)
	}
	exit := p.lastExit()
	if p == c.init {
		s.Events.Publish(topicDelete, &events.TaskDelete{
			ContainerID: c.id, Pid: uint32(exit.Pid), ExitStatus: uint32(exit.Status), ExitedAt: stamp(exit.ExitedAt),
		})
	}
	return &api.DeleteResponse{Pid: uint32(exit.Pid), ExitStatus: uint32(exit.Status), ExitedAt: stamp(exit.ExitedAt)}, nil
}

// stamp leaves out the time of what never happened.
func stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}

func (p *process) lastExit() record.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// claim makes one of several callers the one who deletes.
func (p *process) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.removed
	p.removed = true
	return first
}

func (p *process) claimed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.removed
}

func (p *process) unclaim() {
	p.mu.Lock()
	p.removed = false
	p.mu.Unlock()
}

// killedWithin bounds the wait for a container that delete has just killed.
const killedWithin = 10 * time.Second

func (s *Service) deleteInit(c *container) (err error) {
	if c.init.hasStarted() && !c.init.hasEnded() {
		return running(c)
	}
	c.deleting.Lock() // "not found" is only said of what is gone altogether
	defer c.deleting.Unlock()
	if was, err := s.deleteUnrestored(c); was {
		return err
	}
	if !c.init.claim() {
		return notFound("container %s", c.id)
	}
	defer func() {
		if err != nil {
			c.init.unclaim()
		}
	}()
	neverRan := !c.init.hasEnded()
	if err := c.runtime.Delete(c.id, c.bundle, neverRan); err != nil && !isGone(err) {
		return err
	}
	if !c.init.waitEnded(killedWithin) {
		return conflict("container %s did not end when it was deleted", c.id)
	}
	for _, p := range c.listExecs() {
		s.removeExec(c, p)
	}
	c.init.release()
	return s.takeAway(c)
}

// takeAway is the last of a container: its root file system, and that we know of it.
func (s *Service) takeAway(c *container) error {
	if err := rootfs.Unmount(c.rootfs()); err != nil {
		return err
	}
	s.forget(c.id)
	return nil
}

func running(c *container) error { return conflict("container %s is running: kill it first", c.id) }

func isGone(err error) bool {
	refused, ok := errors.AsType[*oci.Error](err)
	return ok && refused.Gone()
}

func (s *Service) deleteExec(c *container, p *process) error {
	if p.hasStarted() && !p.hasEnded() {
		return conflict("process %s in container %s is running: kill it first", p.execID, c.id)
	}
	if !p.claim() {
		return notFound("process %s in container %s", p.execID, c.id)
	}
	s.removeExec(c, p)
	return nil
}

func (s *Service) removeExec(c *container, p *process) {
	c.mu.Lock()
	known := c.execs[p.execID] == p
	delete(c.execs, p.execID)
	c.mu.Unlock()
	if !known {
		return
	}
	if !p.hasStarted() {
		close(p.deleted)
	} else if p.hasEnded() {
		p.release()
	}
	c.removeExecFiles(p)
}

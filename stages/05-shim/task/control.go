package task

import (
	"context"
	"encoding/json"
	"syscall"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Kill sends a signal. init is signalled by the runtime, which knows what a container is; an exec
// by its pidfd.
func (s *Service) Kill(_ context.Context, r *api.KillRequest) (*emptypb.Empty, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if p.pid() == 0 {
		return nil, conflict("%s was not started", name(c, p))
	}
	held := p.living()
	switch {
	case p == c.init && r.All:
		err = c.runtime.Kill(c.id, c.bundle, r.Signal, true)
	case held == nil:
		return nil, finished()
	case p == c.init:
		err = c.runtime.Kill(c.id, c.bundle, r.Signal, false)
	default:
		err = held.Signal(syscall.Signal(r.Signal))
	}
	if err != nil && (isGone(err) || p.living() == nil) {
		return nil, finished()
	}
	if err != nil {
		return nil, failed("kill "+name(c, p), err)
	}
	return &emptypb.Empty{}, nil
}

// Pause freezes a container.
func (s *Service) Pause(_ context.Context, r *api.PauseRequest) (*emptypb.Empty, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.runtime.Pause(c.id, c.bundle); err != nil {
		return nil, failed("pause container "+c.id, err)
	}
	s.Events.Publish(topicPaused, &events.TaskPaused{ContainerID: c.id})
	return &emptypb.Empty{}, nil
}

// Resume thaws it.
func (s *Service) Resume(_ context.Context, r *api.ResumeRequest) (*emptypb.Empty, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.runtime.Resume(c.id, c.bundle); err != nil {
		return nil, failed("resume container "+c.id, err)
	}
	s.Events.Publish(topicResumed, &events.TaskResumed{ContainerID: c.id})
	return &emptypb.Empty{}, nil
}

// Update changes a container's budget. The resources are runtime-spec LinuxResources, as JSON.
func (s *Service) Update(_ context.Context, r *api.UpdateTaskRequest) (*emptypb.Empty, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	resources := r.Resources.GetValue()
	if !json.Valid(resources) {
		return nil, invalid("update container %s: resources of type %q are not JSON", c.id, r.Resources.GetTypeUrl())
	}
	if err := c.runtime.Update(c.id, c.bundle, resources); err != nil {
		return nil, failed("update container "+c.id, err)
	}
	return &emptypb.Empty{}, nil
}

// ResizePty sets a terminal's size.
func (s *Service) ResizePty(_ context.Context, r *api.ResizePtyRequest) (*emptypb.Empty, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	set := p.streams()
	if set == nil {
		return nil, conflict("%s was not started", name(c, p))
	}
	if err := set.Resize(r.Width, r.Height); err != nil {
		return nil, failed(name(c, p), err)
	}
	return &emptypb.Empty{}, nil
}

// CloseIO ends stdin once the last client has closed it.
func (s *Service) CloseIO(_ context.Context, r *api.CloseIORequest) (*emptypb.Empty, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.Stdin {
		p.closeStdin()
	}
	return &emptypb.Empty{}, nil
}

package service

import (
	"context"

	shimapi "github.com/containerd/containerd/api/runtime/task/v2"
	api "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The calls in this file mean for the shim what they mean for us.

// Start runs the user's program, or an exec that was added.
func (s *Tasks) Start(ctx context.Context, r *api.StartRequest) (*api.StartResponse, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	resp, err := c.Start(ctx, &shimapi.StartRequest{ID: r.GetContainerID(), ExecID: r.GetExecID()})
	return &api.StartResponse{Pid: resp.GetPid()}, err
}

// DeleteProcess removes a stopped exec.
func (s *Tasks) DeleteProcess(ctx context.Context, r *api.DeleteProcessRequest) (*api.DeleteResponse, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	resp, err := c.Delete(ctx, &shimapi.DeleteRequest{ID: r.GetContainerID(), ExecID: r.GetExecID()})
	return &api.DeleteResponse{ID: r.GetExecID(), Pid: resp.GetPid(), ExitStatus: resp.GetExitStatus(), ExitedAt: resp.GetExitedAt()}, err
}

// Kill sends a signal.
func (s *Tasks) Kill(ctx context.Context, r *api.KillRequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.Kill(ctx, &shimapi.KillRequest{ID: r.GetContainerID(), ExecID: r.GetExecID(), Signal: r.GetSignal(), All: r.GetAll()})
}

// ResizePty sets a terminal's size.
func (s *Tasks) ResizePty(ctx context.Context, r *api.ResizePtyRequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.ResizePty(ctx, &shimapi.ResizePtyRequest{ID: r.GetContainerID(), ExecID: r.GetExecID(), Width: r.GetWidth(), Height: r.GetHeight()})
}

// CloseIO ends a process's input.
func (s *Tasks) CloseIO(ctx context.Context, r *api.CloseIORequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.CloseIO(ctx, &shimapi.CloseIORequest{ID: r.GetContainerID(), ExecID: r.GetExecID(), Stdin: r.GetStdin()})
}

// Pause freezes all processes.
func (s *Tasks) Pause(ctx context.Context, r *api.PauseTaskRequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.Pause(ctx, &shimapi.PauseRequest{ID: r.GetContainerID()})
}

// Resume lets them go on.
func (s *Tasks) Resume(ctx context.Context, r *api.ResumeTaskRequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.Resume(ctx, &shimapi.ResumeRequest{ID: r.GetContainerID()})
}

// ListPids lists the processes of a container.
func (s *Tasks) ListPids(ctx context.Context, r *api.ListPidsRequest) (*api.ListPidsResponse, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	resp, err := c.Pids(ctx, &shimapi.PidsRequest{ID: r.GetContainerID()})
	return &api.ListPidsResponse{Processes: resp.GetProcesses()}, err
}

// Update changes limits.
func (s *Tasks) Update(ctx context.Context, r *api.UpdateTaskRequest) (*emptypb.Empty, error) {
	c, err := s.client(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	return c.Update(ctx, &shimapi.UpdateTaskRequest{ID: r.GetContainerID(), Resources: r.GetResources(), Annotations: r.GetAnnotations()})
}

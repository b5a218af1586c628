package service

import (
	"context"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	api "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	shimapi "github.com/containerd/containerd/api/runtime/task/v2"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
	"github.com/slipway-engine/slipway/stages/06-manager/task"
)

// Tasks answers containerd.services.tasks.v1. Nearly every call is the shim's
// call of the same name; this file has those that are more, forward.go the others.
type Tasks struct {
	api.UnimplementedTasksServer
	Store *store.Store
	Tasks *task.Tasks
	Shim  string // the program for io.containerd.runc.v2
}

// Create starts a shim and has it create the container.
func (s *Tasks) Create(ctx context.Context, r *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	if r.GetCheckpoint() != nil {
		return nil, fault.New(fault.Unimplemented, "task %s: restoring a checkpoint is not supported", r.GetContainerID())
	}
	c, err := getContainer(sp, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	req, err := s.request(sp.NS, c, r)
	if err != nil {
		return nil, err
	}
	t, err := s.Tasks.Create(ctx, req)
	if err != nil {
		return nil, err
	}
	return &api.CreateTaskResponse{ContainerID: c.GetID(), Pid: t.Pid()}, nil
}

// request joins what the container says and what the caller says; the caller wins.
func (s *Tasks) request(ns string, c *containersapi.Container, r *api.CreateTaskRequest) (task.Request, error) {
	name, options := c.GetRuntime().GetName(), c.GetRuntime().GetOptions()
	if r.GetRuntimePath() != "" {
		name = r.GetRuntimePath()
	}
	if r.GetOptions() != nil {
		options = r.GetOptions()
	}
	program, err := shim.Program(name, s.Shim)
	return task.Request{
		Namespace: ns, ID: c.GetID(), Program: program, Config: c.GetSpec().GetValue(), Options: options, Rootfs: r.GetRootfs(),
		Stdin: r.GetStdin(), Stdout: r.GetStdout(), Stderr: r.GetStderr(), Terminal: r.GetTerminal(),
	}, err
}

// Delete removes a stopped task.
func (s *Tasks) Delete(ctx context.Context, r *api.DeleteTaskRequest) (*api.DeleteResponse, error) {
	t, err := s.task(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	exit, err := s.Tasks.Delete(ctx, t)
	if err != nil {
		return nil, err
	}
	return &api.DeleteResponse{ID: r.GetContainerID(), Pid: exit.Pid, ExitStatus: exit.Status, ExitedAt: timestamppb.New(exit.ExitedAt)}, nil
}

// Wait waits for the end of a process; it has no deadline but the caller's.
func (s *Tasks) Wait(ctx context.Context, r *api.WaitRequest) (*api.WaitResponse, error) {
	t, err := s.task(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	exit, err := t.Wait(ctx, r.GetExecID())
	if err != nil {
		return nil, err
	}
	return &api.WaitResponse{ExitStatus: exit.Status, ExitedAt: timestamppb.New(exit.ExitedAt)}, nil
}

// Exec adds a process.
func (s *Tasks) Exec(ctx context.Context, r *api.ExecProcessRequest) (*emptypb.Empty, error) {
	if r.GetExecID() == "" {
		return nil, fault.New(fault.InvalidArgument, "task %s: exec id is empty", r.GetContainerID())
	}
	t, err := s.task(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	c, err := t.Shim(ctx)
	if err != nil {
		return nil, err
	}
	return c.Exec(ctx, &shimapi.ExecProcessRequest{
		ID: r.GetContainerID(), ExecID: r.GetExecID(), Terminal: r.GetTerminal(),
		Stdin: r.GetStdin(), Stdout: r.GetStdout(), Stderr: r.GetStderr(), Spec: r.GetSpec(),
	})
}

// Checkpoint is refused: it needs CRIU, which nothing here drives.
func (s *Tasks) Checkpoint(_ context.Context, r *api.CheckpointTaskRequest) (*api.CheckpointTaskResponse, error) {
	return nil, fault.New(fault.Unimplemented, "task %s: checkpoints are not supported", r.GetContainerID())
}

func (s *Tasks) task(ctx context.Context, id string) (*task.Task, error) {
	ns, err := namespace(ctx)
	if err != nil {
		return nil, err
	}
	return s.Tasks.Get(ns, id)
}

// client finds the shim of a task.
func (s *Tasks) client(ctx context.Context, id string) (*shim.Client, error) {
	t, err := s.task(ctx, id)
	if err != nil {
		return nil, err
	}
	return t.Shim(ctx)
}

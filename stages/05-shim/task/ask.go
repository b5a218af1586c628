package task

import (
	"context"
	"os"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// State tells what is known of a process.
func (s *Service) State(_ context.Context, r *api.StateRequest) (*api.StateResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	state := &api.StateResponse{
		ID: c.id, ExecID: r.ExecID, Bundle: c.bundle, Pid: uint32(p.pid()), Status: statusOf(c.facts(p)),
		Stdin: p.stdio.Stdin, Stdout: p.stdio.Stdout, Stderr: p.stdio.Stderr, Terminal: p.stdio.Terminal,
	}
	if state.Status == task.Status_STOPPED {
		exit := p.lastExit()
		state.ExitStatus, state.ExitedAt = uint32(exit.Status), stamp(exit.ExitedAt)
	}
	return state, nil
}

// Wait answers when the process has ended and its end is recorded. Any number may wait.
func (s *Service) Wait(ctx context.Context, r *api.WaitRequest) (*api.WaitResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-p.deleted:
		return nil, notFound("%s", name(c, p))
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	exit := p.lastExit()
	return &api.WaitResponse{ExitStatus: uint32(exit.Status), ExitedAt: stamp(exit.ExitedAt)}, nil
}

// Pids lists a container's processes; execs carry their ids.
func (s *Service) Pids(_ context.Context, r *api.PidsRequest) (*api.PidsResponse, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	pids, err := c.runtime.Pids(c.id, c.bundle)
	if err != nil {
		return nil, failed("list processes of container "+c.id, err)
	}
	execs := map[int]string{}
	for _, p := range c.listExecs() {
		execs[p.pid()] = p.execID
	}
	response := &api.PidsResponse{}
	for _, pid := range pids {
		info := &task.ProcessInfo{Pid: uint32(pid)}
		if id := execs[pid]; id != "" {
			if info.Info, err = pack(&runc.ProcessDetails{ExecID: id}); err != nil {
				return nil, err
			}
		}
		response.Processes = append(response.Processes, info)
	}
	return response, nil
}

// pack wraps a message with its bare name, as containerd's types are named.
func pack(m proto.Message) (*anypb.Any, error) {
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "encode %s: %v", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: data}, nil
}

// Stats reads the accounts of the container's control group.
func (s *Service) Stats(_ context.Context, r *api.StatsRequest) (*api.StatsResponse, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	group := c.group.Load()
	if group == nil {
		return nil, conflict("container %s has no control group that this shim can read", c.id)
	}
	stats, err := group.Stats()
	if err != nil {
		return nil, failed("statistics of container "+c.id, err)
	}
	packed, err := pack(metrics(group.Layout().Mode(), stats))
	if err != nil {
		return nil, err
	}
	return &api.StatsResponse{Stats: packed}, nil
}

// Connect tells who serves.
func (s *Service) Connect(_ context.Context, r *api.ConnectRequest) (*api.ConnectResponse, error) {
	response := &api.ConnectResponse{ShimPid: uint32(os.Getpid()), Version: s.Version}
	if c, err := s.container(r.ID); err == nil {
		response.TaskPid = uint32(c.init.pid())
	}
	return response, nil
}

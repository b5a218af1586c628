package service

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	shimapi "github.com/containerd/containerd/api/runtime/task/v2"
	api "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
	"github.com/slipway-engine/slipway/stages/06-manager/task"
)

// listTimeout bounds what one silent shim can add to a listing of all.
const listTimeout = 2 * time.Second

// Get asks the shim what a process is doing.
func (s *Tasks) Get(ctx context.Context, r *api.GetRequest) (*api.GetResponse, error) {
	t, err := s.task(ctx, r.GetContainerID())
	if err != nil {
		return nil, err
	}
	p, err := state(ctx, t, r.GetExecID())
	return &api.GetResponse{Process: p}, err
}

func state(ctx context.Context, t *task.Task, execID string) (*tasktypes.Process, error) {
	c, err := t.Shim(ctx)
	if err != nil {
		return nil, err
	}
	st, err := c.State(ctx, &shimapi.StateRequest{ID: t.Bundle.ID, ExecID: execID})
	if err != nil {
		return nil, err
	}
	return &tasktypes.Process{
		ContainerID: st.GetID(), ID: cmp.Or(execID, st.GetID()), Pid: st.GetPid(), Status: st.GetStatus(),
		Stdin: st.GetStdin(), Stdout: st.GetStdout(), Stderr: st.GetStderr(), Terminal: st.GetTerminal(),
		ExitStatus: st.GetExitStatus(), ExitedAt: st.GetExitedAt(),
	}, nil
}

// List asks all shims at once. One that does not answer is listed with status
// UNKNOWN: it must not hide the others.
func (s *Tasks) List(ctx context.Context, _ *api.ListTasksRequest) (*api.ListTasksResponse, error) {
	ns, err := namespace(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	tasks := s.Tasks.List(ns)
	found := make([]*tasktypes.Process, len(tasks))
	var wg sync.WaitGroup
	for i, t := range tasks {
		wg.Go(func() {
			p, err := state(ctx, t, "")
			switch {
			case err == nil:
				found[i] = p
			case !fault.Is(fault.FromGRPC(err), fault.NotFound):
				found[i] = &tasktypes.Process{ContainerID: t.Bundle.ID, ID: t.Bundle.ID, Pid: t.Pid(), Status: tasktypes.Status_UNKNOWN}
			}
		})
	}
	wg.Wait()
	found = slices.DeleteFunc(found, func(p *tasktypes.Process) bool { return p == nil })
	slices.SortFunc(found, func(a, b *tasktypes.Process) int { return cmp.Compare(a.GetID(), b.GetID()) })
	return &api.ListTasksResponse{Tasks: found}, nil
}

// Metrics asks the shims that match for what their containers use.
func (s *Tasks) Metrics(ctx context.Context, r *api.MetricsRequest) (*api.MetricsResponse, error) {
	ns, err := namespace(ctx)
	if err != nil {
		return nil, err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	resp := &api.MetricsResponse{}
	var mu sync.Mutex // guards resp
	var wg sync.WaitGroup
	for _, t := range s.Tasks.List(ns) {
		if !want.Match(filter.Map(map[string]string{"id": t.Bundle.ID, "namespace": ns}, nil)) {
			continue
		}
		wg.Go(func() {
			c, err := t.Shim(ctx)
			if err != nil {
				return
			}
			if m := metric(ctx, c, t.Bundle.ID); m != nil {
				mu.Lock()
				defer mu.Unlock()
				resp.Metrics = append(resp.Metrics, m)
			}
		})
	}
	wg.Wait()
	return resp, nil
}

// metric is nil for a container that has none (it has stopped): the others count.
func metric(ctx context.Context, c *shim.Client, id string) *types.Metric {
	st, err := c.Stats(ctx, &shimapi.StatsRequest{ID: id})
	if err != nil {
		return nil
	}
	return &types.Metric{Timestamp: timestamppb.New(time.Now()), ID: id, Data: st.GetStats()}
}

package engine

import (
	"context"
	"fmt"
	"time"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
)

// Restore rebuilds memory from the records and the manager's tasks, and starts watching. When it returns, every
// container is listed with its right state; restarts by policy go on in the background.
func (e *Engine) Restore(ctx context.Context) error {
	good, bad, err := e.Records.LoadAll()
	if err != nil {
		return err
	}
	for _, b := range bad {
		e.Log.Error("container left out", "err", b)
	}
	for id, rec := range good {
		e.add(newContainer(rec, e.Records.Dir(id)))
	}
	have, err := e.Tasks.ListTasks(ctx)
	if err != nil {
		return fmt.Errorf("list tasks: %w", err)
	}
	if err := e.Network.Reconcile(ctx, e.liveEndpoints(have)); err != nil {
		e.Log.Error("network", "err", err)
	}
	plan, err := Reconcile(e.wants(), have, e.Records.Known)
	if err != nil {
		return err
	}
	byID := map[string]manager.Task{}
	for _, t := range have {
		byID[t.ID] = t
	}
	for _, a := range plan {
		e.Log.Info("reconcile", "do", string(a.Verb), "container", a.ID)
		e.carryOut(ctx, a, byID[a.ID])
	}
	e.sweepSnapshots(ctx)
	e.wg.Go(func() { e.Watcher.Watch(e.ctx, e.happened, func() { e.Log.Info("connected to the manager again") }) })
	return nil
}

func (e *Engine) wants() []Want {
	var all []Want
	for _, c := range e.All() {
		r := c.View().Record
		w := Want{
			ID: r.ID, Wanted: r.Wanted, Ran: !r.StartedAt.IsZero(), StoppedByUser: r.StoppedByUser,
			AutoRemove: r.HostConfig.AutoRemove, Policy: r.HostConfig.RestartPolicy, Restarts: r.RestartCount,
		}
		if r.Last != nil {
			w.LastCode = r.Last.Code
		}
		all = append(all, w)
	}
	return all
}

// liveEndpoints are those of containers that have a task; the driver sweeps the rest away.
func (e *Engine) liveEndpoints(have []manager.Task) []*network.Endpoint {
	var live []*network.Endpoint
	for _, t := range have {
		if c, err := e.Get(t.ID); err == nil {
			if ep := c.View().Endpoint; ep != nil {
				live = append(live, ep)
			}
		}
	}
	return live
}

// carryOut does one action. Its error is the container's, never the daemon's: a start that fails because of
// state would make one damaged container everybody's problem.
func (e *Engine) carryOut(ctx context.Context, a Action, t manager.Task) {
	c, _ := e.Get(a.ID)
	var err error
	switch a.Verb {
	case Adopt:
		err = e.adopt(c, t)
	case Bury:
		c.mu.Lock()
		run := &task{pid: t.Pid, started: c.rec.StartedAt, done: make(chan struct{})}
		c.task = run
		c.mu.Unlock()
		e.exited(c, run, a.Exit)
	case Discard:
		endpoint := c.View().Endpoint // the driver has taken it for live: there was a task
		if err = e.discardTask(ctx, a.ID); err == nil && endpoint != nil {
			err = e.Network.Detach(ctx, endpoint)
		}
		if err == nil {
			err = e.change(c, func(r *Record) { r.Wanted, r.Endpoint = false, nil })
		}
	case Lost:
		err = e.change(c, func(r *Record) {
			r.Wanted, r.Endpoint = false, nil
			r.Last = &Ended{Code: unknownCode, At: time.Now().UTC()}
		})
	case Raise:
		e.wg.Go(func() { e.logIfErr("start by policy", a.ID, e.Start(e.ctx, a.ID)) })
	case Remove:
		e.wg.Go(func() {
			e.logIfErr("auto-remove", a.ID, e.Remove(e.ctx, a.ID, RemoveOptions{Force: true, Volumes: true}))
		})
	case Kill:
		err = e.discardTask(ctx, a.ID)
	}
	e.logIfErr("reconcile: "+string(a.Verb), a.ID, err)
}

// adopt takes up a container that runs.
func (e *Engine) adopt(c *Container, t manager.Task) error {
	c.mu.Lock()
	run := &task{pid: t.Pid, started: c.rec.StartedAt, paused: t.Paused, done: make(chan struct{})}
	c.task = run
	c.mu.Unlock()
	streams, err := e.openStreams(c)
	if err != nil {
		e.Log.Error("streams", "container", c.ID, "err", err)
	} else {
		e.logIfErr("streams", c.ID, streams.Started())
	}
	e.watch(c, run)
	return nil
}

// sweepSnapshots removes writable layers that belong to no container: a create was cut short.
func (e *Engine) sweepSnapshots(ctx context.Context) {
	keys, err := e.Snapshots.OwnedSnapshots(ctx)
	if err != nil {
		e.Log.Warn("list snapshots", "err", err)
		return
	}
	for _, key := range keys {
		if !e.Records.Known(key) {
			e.logIfErr("remove orphaned snapshot", key, e.Snapshots.RemoveSnapshot(ctx, key))
		}
	}
}

// happened notes what the manager's events tell.
func (e *Engine) happened(h manager.Happening) {
	c, err := e.Get(h.OOM)
	if err != nil {
		return
	}
	c.mu.Lock()
	t := c.task
	if t != nil {
		t.oom = true
	}
	c.mu.Unlock()
	if t != nil {
		e.publish(c, apievents.ActionOOM, nil)
	}
}

package engine

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

const (
	lostCode     = 137 // the shim died and took the process with it
	unknownCode  = 255 // it ran before a boot, or nobody remembers
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = time.Minute
	stableAfter  = 10 * time.Second // a run this long makes the back-off start anew
)

// watch waits for the end of a run and deals with it.
func (e *Engine) watch(c *Container, t *task) {
	e.wg.Go(func() {
		exit, err := e.Tasks.Wait(e.ctx, c.ID, "")
		if e.ctx.Err() != nil {
			return // the daemon stops; the next one adopts
		}
		if err != nil {
			e.Log.Warn("exit status lost", "container", c.ID, "err", err)
			exit = manager.Exit{Code: lostCode, At: time.Now().UTC()}
		}
		e.exited(c, t, exit)
	})
}

// exited records how a run ended, cleans up behind it, and decides what comes next. It holds no token: whoever
// stops or removes the container holds it and waits for this.
func (e *Engine) exited(c *Container, t *task, exit manager.Exit) {
	ctx := context.WithoutCancel(e.ctx)
	c.mu.Lock()
	seen, kept := t.oom, c.kept
	c.mu.Unlock()
	oom := seen || e.OOMKilled != nil && e.OOMKilled(c.ID)
	rec := c.View().Record
	again := ShouldRestart(rec.HostConfig.RestartPolicy, exit.Code, rec.StoppedByUser, rec.RestartCount)
	leaves := rec.HostConfig.AutoRemove && !again && !kept
	change := func(edit func(*Record)) error { return e.change(c, edit) }
	if leaves {
		change = c.remember
	}
	err := change(func(r *Record) {
		r.Last = &Ended{Code: exit.Code, At: exit.At, OOM: oom}
		r.Wanted = again
		if again {
			r.RestartCount++
		}
	})
	e.logIfErr("record exit", c.ID, err)
	e.bury(ctx, c, change)
	if oom && !seen {
		e.publish(c, apievents.ActionOOM, nil)
	}
	e.publish(c, apievents.ActionDie, map[string]string{
		"exitCode": strconv.Itoa(exit.Code), "execDuration": strconv.Itoa(int(exit.At.Sub(t.started).Seconds())),
	})
	wait := c.nextBackoff(exit.At.Sub(t.started))
	c.mu.Lock()
	c.task = nil
	if again && e.ctx.Err() == nil {
		c.pending = time.AfterFunc(wait, func() { e.restartAfterBackoff(c) })
	}
	c.mu.Unlock()
	c.signalExit()
	close(t.done)
	if leaves {
		e.wg.Go(func() {
			e.logIfErr("auto-remove", c.ID, e.Remove(ctx, c.ID, RemoveOptions{Force: true, Volumes: true}))
		})
	}
}

// bury removes what a run needed: the task (which lets the last output through), the pipes, the endpoint. change notes
// that the endpoint is gone.
func (e *Engine) bury(ctx context.Context, c *Container, change func(func(*Record)) error) {
	if _, err := e.Tasks.DeleteTask(ctx, c.ID); err != nil && !isNotFound(err) {
		e.Log.Warn("delete task", "container", c.ID, "err", err)
	}
	e.closeStreams(c)
	endpoint := c.View().Endpoint
	if endpoint == nil {
		return
	}
	if err := e.Network.Detach(ctx, endpoint); err != nil {
		e.Log.Warn("release network", "container", c.ID, "err", err)
		return
	}
	e.logIfErr("record release of network", c.ID, change(func(r *Record) { r.Endpoint = nil }))
}

// signalExit wakes those who wait for the next exit.
func (c *Container) signalExit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.nextExit)
	c.nextExit = make(chan struct{})
}

// ShouldRestart is the restart policy: what the user asked for against how the run ended.
func ShouldRestart(p container.RestartPolicy, code int, stoppedByUser bool, restarts int) bool {
	if stoppedByUser {
		return false
	}
	switch p.Name {
	case container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		return true
	case container.RestartPolicyOnFailure:
		return code != 0 && (p.MaximumRetryCount == 0 || restarts < p.MaximumRetryCount)
	}
	return false
}

// nextBackoff doubles the pause between restarts up to a minute; a run that lasted resets it.
func (c *Container) nextBackoff(ran time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ran >= stableAfter {
		c.backoff = 0
	}
	c.backoff = min(cmp.Or(2*c.backoff, firstBackoff), lastBackoff)
	return c.backoff
}

// cancelRestart stops a pending restart and tells whether there was one.
func (c *Container) cancelRestart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return false
	}
	c.pending.Stop()
	c.pending = nil
	return true
}

func (e *Engine) restartAfterBackoff(c *Container) {
	e.wg.Go(func() {
		var err error
		defer e.Jobs.Begin("restart by policy", c.ID)(&err)
		unlock, err := c.lock(e.ctx)
		if err != nil {
			return
		}
		defer unlock()
		if !c.cancelRestart() || c.running() != nil {
			return // somebody was faster
		}
		if err = e.start(e.ctx, c); err != nil {
			e.Log.Warn("restart", "container", c.ID, "err", err)
			e.startFailed(e.ctx, c, err)
		}
	})
}

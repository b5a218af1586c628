package engine

import (
	"context"
	"sync"
	"time"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

const (
	defaultStopTimeout = 10 // seconds
	killPatience       = 10 * time.Second
)

// StopOptions are the query of stop and restart. A nil Timeout is the container's own, a negative one is for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
}

// Stop ends the container's process: the signal, patience, SIGKILL.
func (e *Engine) Stop(ctx context.Context, ref string, o StopOptions) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("stop", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	ctx = context.WithoutCancel(ctx)
	pending := c.cancelRestart()
	if c.running() == nil && !pending {
		return fault.NotModified("container %s is already stopped", c.ID)
	}
	if err := e.change(c, func(r *Record) { r.StoppedByUser, r.Wanted = true, false }); err != nil {
		return err
	}
	if err := e.stop(ctx, c, o); err != nil {
		return err
	}
	e.publish(c, apievents.ActionStop, nil)
	return nil
}

// stop holds the token; it returns when the exit was dealt with.
func (e *Engine) stop(ctx context.Context, c *Container, o StopOptions) error {
	t := c.running()
	if t == nil {
		return nil
	}
	cfg := c.View().Config
	signal, timeout := 15, defaultStopTimeout
	if cfg.StopTimeout != nil {
		timeout = *cfg.StopTimeout
	}
	if o.Timeout != nil {
		timeout = *o.Timeout
	}
	for _, text := range []string{cfg.StopSignal, o.Signal} {
		if text == "" {
			continue
		}
		n, err := ParseSignal(text)
		if err != nil {
			return err
		}
		signal = n
	}
	if err := e.signal(ctx, c, t, signal); err != nil {
		return err
	}
	if timeout < 0 {
		<-t.done
		return nil
	}
	select {
	case <-t.done:
		return nil
	case <-time.After(time.Duration(timeout) * time.Second):
	}
	return e.killAndWait(ctx, c, t)
}

func (e *Engine) killAndWait(ctx context.Context, c *Container, t *task) error {
	if err := e.signal(ctx, c, t, 9); err != nil {
		return err
	}
	select {
	case <-t.done:
		return nil
	case <-time.After(killPatience):
		return fault.System("container %s does not end after SIGKILL: PID %d is stuck in the kernel", c.ID, t.pid)
	}
}

// signal sends it; a process that has just ended is fine. A frozen one is thawed after a deadly signal, because on
// cgroup v1 it would stay pending for ever.
func (e *Engine) signal(ctx context.Context, c *Container, t *task, signal int) error {
	if err := e.deliver(ctx, c, t, signal); err != nil {
		return err
	}
	e.publish(c, apievents.ActionKill, map[string]string{"signal": itoa(signal)})
	c.mu.Lock()
	paused := t.paused
	c.mu.Unlock()
	if paused {
		if err := e.Tasks.Resume(ctx, c.ID); err == nil {
			c.mu.Lock()
			t.paused = false
			c.mu.Unlock()
		}
	}
	return nil
}

// deliver sends a signal. A shim that is leaving breaks the call; then either the exit is on its way, or the next
// try tells.
func (e *Engine) deliver(ctx context.Context, c *Container, t *task, signal int) error {
	var err error
	for range 20 {
		if err = unlessNotFound(e.Tasks.Kill(ctx, c.ID, "", signal, false)); err == nil {
			return nil
		}
		select {
		case <-t.done:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// Kill sends a signal and waits only for SIGKILL to do its work.
func (e *Engine) Kill(ctx context.Context, ref, text string) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("kill", c.ID)(&err)
	n := 9
	if text != "" {
		if n, err = ParseSignal(text); err != nil {
			return err
		}
	}
	t := c.running()
	if t == nil {
		return fault.Conflict("container %s is not running", c.ID)
	}
	if n == 9 || n == 15 || n == 2 {
		// Docker counts a deadly signal from the user as a stop, so that "always" does not raise it again.
		err = e.change(c, func(r *Record) { r.StoppedByUser = true })
		if err != nil {
			return err
		}
	}
	if n == 9 {
		return e.killAndWait(context.WithoutCancel(ctx), c, t)
	}
	return e.signal(ctx, c, t, n)
}

// Restart stops the container if it runs, and starts it.
func (e *Engine) Restart(ctx context.Context, ref string, o StopOptions) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("restart", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	ctx = context.WithoutCancel(ctx)
	c.cancelRestart()
	if c.running() != nil {
		if err := e.change(c, func(r *Record) { r.StoppedByUser = true }); err != nil {
			return err
		}
		c.keep(true)
		err := e.stop(ctx, c, o)
		c.keep(false)
		if err != nil {
			return err
		}
		e.publish(c, apievents.ActionStop, nil)
	}
	if err := e.start(ctx, c); err != nil {
		e.startFailed(ctx, c, err)
		return startFault(err)
	}
	e.publish(c, apievents.ActionRestart, nil)
	return nil
}

// Pause freezes the container, Unpause thaws it.
func (e *Engine) Pause(ctx context.Context, ref string) error { return e.freeze(ctx, ref, true) }

// Unpause is the opposite of Pause.
func (e *Engine) Unpause(ctx context.Context, ref string) error { return e.freeze(ctx, ref, false) }

func (e *Engine) freeze(ctx context.Context, ref string, on bool) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	name, act, action := "unpause", e.Tasks.Resume, apievents.ActionUnPause
	if on {
		name, act, action = "pause", e.Tasks.Pause, apievents.ActionPause
	}
	defer e.Jobs.Begin(name, c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	v := c.View()
	switch {
	case !v.Running():
		return fault.Conflict("Container %s is not running", v.ID)
	case on && v.Status == "paused":
		return fault.Conflict("Container %s is already paused", v.ID)
	case !on && v.Status != "paused":
		return fault.Conflict("Container %s is not paused", v.ID)
	}
	if err := act(ctx, c.ID); err != nil {
		return err
	}
	c.mu.Lock()
	if c.task != nil {
		c.task.paused = on
	}
	c.mu.Unlock()
	e.publish(c, action, nil)
	return nil
}

// StopAll stops every running container, all at once; for a daemon without live restore.
func (e *Engine) StopAll(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range e.All() {
		if t := c.running(); t != nil {
			all.Go(func() { e.logIfErr("stop", c.ID, e.stop(ctx, c, StopOptions{})) })
		}
	}
	all.Wait()
}

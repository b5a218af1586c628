package engine

import (
	"context"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// Wait subscribes to a container's end before it returns; the function it returns waits for it. So a client can be
// told that the wait has begun, and only then start the container.
func (e *Engine) Wait(ref string, condition container.WaitCondition) (func(context.Context) (Ended, error), error) {
	c, err := e.Get(ref)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	next, removed := c.nextExit, c.removed
	running := c.task != nil || c.pending != nil
	c.mu.Unlock()
	var until <-chan struct{}
	switch condition {
	case container.WaitConditionNotRunning, "":
		until = next
		if !running {
			until = nil
		}
	case container.WaitConditionNextExit:
		until = next
	case container.WaitConditionRemoved:
		until = removed
	default:
		return nil, fault.Invalid("invalid condition: %q", condition)
	}
	return func(ctx context.Context) (Ended, error) {
		if until != nil {
			select {
			case <-until:
			case <-ctx.Done():
				return Ended{}, ctx.Err()
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.rec.Last == nil {
			return Ended{}, nil
		}
		return *c.rec.Last, nil
	}, nil
}

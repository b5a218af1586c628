package runtime

import (
	"context"
	"fmt"
)

// removeFailed removes the group of a create that failed, and keeps whether a process in it was killed for want of memory.
func (c *creation) removeFailed(ctx context.Context) error {
	kills, err := c.group.OOMKills() // without a memory controller there are none
	c.starved = err == nil && kills > 0
	return c.group.Remove(context.WithoutCancel(ctx))
}

// orStarved says what a bare SIGKILL means. The words are runc's.
func (c *creation) orStarved(err error) error {
	if err == nil || !c.starved {
		return err
	}
	return fmt.Errorf("container init was OOM-killed (memory limit too low?): %w", err)
}

package store

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Collector runs Collect after deletions, several requests at once if they come
// together. It is one goroutine.
type Collector struct {
	store *Store
	log   *slog.Logger
	delay time.Duration // lets a burst of deletions share one run

	mu      sync.Mutex    // guards waiting
	waiting []chan error  // those who asked since the last run began
	wake    chan struct{} // holds at most one
}

// NewCollector makes one; Run must be called.
func NewCollector(s *Store, log *slog.Logger) *Collector {
	return &Collector{store: s, log: log, delay: 100 * time.Millisecond, wake: make(chan struct{}, 1)}
}

// Ask wants a collection soon. Nobody waits for it.
func (c *Collector) Ask() {
	select {
	case c.wake <- struct{}{}:
	default: // one is already due
	}
}

// Sync wants a collection that begins from now on, and waits for its end.
func (c *Collector) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	c.mu.Lock()
	c.waiting = append(c.waiting, done)
	c.mu.Unlock()
	c.Ask()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.pause(ctx)
		c.collect(ctx)
	}
}

// pause waits a little when nobody is waiting for the result.
func (c *Collector) pause(ctx context.Context) {
	c.mu.Lock()
	urgent := len(c.waiting) > 0
	c.mu.Unlock()
	if urgent {
		return
	}
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
	}
}

func (c *Collector) collect(ctx context.Context) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	start := time.Now()
	got, err := c.store.Collect(context.WithoutCancel(ctx))
	switch {
	case err != nil:
		c.log.Error("garbage collection", "error", err)
	case got != Collected{}:
		c.log.Info("garbage collected", "blobs", got.Content, "snapshots", got.Snapshots, "leases", got.Leases, "took", time.Since(start))
	}
	for _, w := range waiting {
		w <- err
	}
}

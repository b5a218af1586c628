package attach

import (
	"context"
	"sync"

	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

// maxBehind is how much a client may lag before the pump waits for it, in bytes.
const maxBehind = 16 << 20

// Client is one reader of a process's output, with a queue of its own.
type Client struct {
	process        *Process
	stdout, stderr bool

	mu     sync.Mutex // guards all below
	change *sync.Cond
	queue  []piece
	size   int
	ended  bool // nothing more will be queued
	left   bool // the client is gone: what is queued is thrown away
}

type piece struct {
	stream byte
	data   []byte
}

func newClient(p *Process, stdout, stderr bool) *Client {
	c := &Client{process: p, stdout: stdout, stderr: stderr}
	c.change = sync.NewCond(&c.mu)
	return c
}

func (c *Client) wants(stream byte) bool {
	return stream == logs.Stdout && c.stdout || stream == logs.Stderr && c.stderr
}

// push queues a copy of data; it waits while the queue is full.
func (c *Client) push(stream byte, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.size > maxBehind && !c.left && !c.ended {
		c.change.Wait()
	}
	if c.left {
		return
	}
	c.queue = append(c.queue, piece{stream, append([]byte(nil), data...)})
	c.size += len(data)
	c.change.Broadcast()
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.change.Broadcast()
}

// Leave ends the client's interest; a Copy that runs returns.
func (c *Client) Leave() {
	c.mu.Lock()
	already := c.left
	c.left = true
	c.change.Broadcast()
	c.mu.Unlock()
	if !already {
		c.process.leave(c)
	}
}

// Copy writes the output to the framer until the process ends (nil), the client leaves or ctx ends (nil), or a
// write fails.
func (c *Client) Copy(ctx context.Context, to logs.Framer) error {
	stop := context.AfterFunc(ctx, c.Leave)
	defer stop()
	for {
		next, ok := c.next()
		if !ok {
			return nil
		}
		if err := to.Write(next.stream, next.data); err != nil {
			return err
		}
	}
}

func (c *Client) next() (piece, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.ended && !c.left {
		c.change.Wait()
	}
	if c.left || len(c.queue) == 0 {
		return piece{}, false
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	c.size -= len(next.data)
	c.change.Broadcast()
	return next, true
}

package shim

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
)

// Client is a connection to a shim's server.
type Client struct {
	task.TTRPCTaskService
	rpc  *ttrpc.Client
	gone chan struct{}
}

// Dial connects. Version 3 of the task service has the same messages under
// another name.
func Dial(ctx context.Context, p Params) (*Client, error) {
	path, err := p.Socket()
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("shim: %w", err)
	}
	gone := make(chan struct{})
	rpc := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { close(gone) }),
		ttrpc.WithUnaryClientInterceptor(func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			if p.Version == 3 {
				req.Service = strings.Replace(req.Service, ".v2.", ".v3.", 1)
			}
			ctx, cancel := deadline(ctx, req.Method)
			defer cancel()
			return invoke(ctx, req, resp)
		}))
	return &Client{TTRPCTaskService: task.NewTTRPCTaskClient(rpc), rpc: rpc, gone: gone}, nil
}

// Gone is closed when the connection has ended, by whatever side. A shim that
// dies ends it at once: the kernel closes its socket.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// deadline bounds a call by what it does: a shim that is stopped or stuck must
// not hold a request for ever. Only Wait may wait for ever.
func deadline(ctx context.Context, method string) (context.Context, context.CancelFunc) {
	switch method {
	case "Wait":
		return context.WithCancel(ctx)
	case "Create", "Start", "Exec", "Delete", "Checkpoint":
		return context.WithTimeout(ctx, 2*time.Minute) // these run programs and mount file systems
	case "Kill", "Pause", "Resume", "Update":
		return context.WithTimeout(ctx, 30*time.Second)
	default: // questions
		return context.WithTimeout(ctx, 10*time.Second)
	}
}

// Close ends the connection; the shim goes on.
func (c *Client) Close() error { return c.rpc.Close() }

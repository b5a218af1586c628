package shim

import (
	"context"
	"fmt"
	"net"
	"strings"

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
	opts := []ttrpc.ClientOpts{ttrpc.WithOnClose(func() { close(gone) })}
	if p.Version == 3 {
		opts = append(opts, ttrpc.WithUnaryClientInterceptor(asVersion3))
	}
	rpc := ttrpc.NewClient(conn, opts...)
	return &Client{TTRPCTaskService: task.NewTTRPCTaskClient(rpc), rpc: rpc, gone: gone}, nil
}

// Gone is closed when the connection has ended, by whatever side. A shim that
// dies ends it at once: the kernel closes its socket.
func (c *Client) Gone() <-chan struct{} { return c.gone }

func asVersion3(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	req.Service = strings.Replace(req.Service, ".v2.", ".v3.", 1)
	return invoke(ctx, req, resp)
}

// Close ends the connection; the shim goes on.
func (c *Client) Close() error { return c.rpc.Close() }

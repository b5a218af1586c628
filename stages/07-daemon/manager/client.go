// Package manager speaks containerd's gRPC services as a client: to slipway-manager or to containerd itself.
//
// It adds the namespace to every call, gives errors their kind back, and waits through a restart of the other
// side instead of failing. It decides nothing.
package manager

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/services/namespaces/v1"
	"github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/services/streaming/v1"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Namespace is the containerd namespace in which the daemon works (docs/boundaries.md).
const Namespace = "slipway"

// Client holds the generated clients of one connection. Close ends all of them.
type Client struct {
	Address string

	Containers containers.ContainersClient
	Content    content.ContentClient
	Diff       diff.DiffClient
	Events     events.EventsClient
	Images     images.ImagesClient
	Leases     leases.LeasesClient
	Namespaces namespaces.NamespacesClient
	Snapshots  snapshots.SnapshotsClient
	Streaming  streaming.StreamingClient
	Tasks      tasks.TasksClient
	Transfer   transfer.TransferClient
	Version    version.VersionClient

	Snapshotter string

	conn *grpc.ClientConn
}

// Dial prepares a connection to a unix socket; it is made at the first call, and made again whenever it breaks.
func Dial(address, snapshotter string) (*Client, error) {
	reconnect := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 250 * time.Millisecond},
		MinConnectTimeout: time.Second,
	}
	conn, err := grpc.NewClient("unix://"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(reconnect),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(16<<20)),
		grpc.WithUnaryInterceptor(unary),
		grpc.WithStreamInterceptor(stream),
	)
	if err != nil {
		return nil, fmt.Errorf("manager at %s: %w", address, err)
	}
	return &Client{
		Address:     address,
		Containers:  containers.NewContainersClient(conn),
		Content:     content.NewContentClient(conn),
		Diff:        diff.NewDiffClient(conn),
		Events:      events.NewEventsClient(conn),
		Images:      images.NewImagesClient(conn),
		Leases:      leases.NewLeasesClient(conn),
		Namespaces:  namespaces.NewNamespacesClient(conn),
		Snapshots:   snapshots.NewSnapshotsClient(conn),
		Streaming:   streaming.NewStreamingClient(conn),
		Tasks:       tasks.NewTasksClient(conn),
		Transfer:    transfer.NewTransferClient(conn),
		Version:     version.NewVersionClient(conn),
		Snapshotter: snapshotter,
		conn:        conn,
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Hello waits until the other side answers, and makes our namespace.
func (c *Client) Hello(ctx context.Context) (*version.VersionResponse, error) {
	v, err := c.Version.Version(ctx, &emptypb.Empty{})
	if err != nil {
		return nil, fmt.Errorf("manager at %s: %w", c.Address, err)
	}
	_, err = c.Namespaces.Create(ctx, &namespaces.CreateNamespaceRequest{Namespace: &namespaces.Namespace{Name: Namespace}})
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return nil, fmt.Errorf("namespace %s: %w", Namespace, err)
	}
	return v, nil
}

func inNamespace(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", Namespace)
}

// once are the methods that must not be repeated blindly: a second one would fail on what the first has made.
func once(method string) bool {
	switch method {
	case "/containerd.services.tasks.v1.Tasks/Create", "/containerd.services.tasks.v1.Tasks/Start",
		"/containerd.services.tasks.v1.Tasks/Exec", "/containerd.services.snapshots.v1.Snapshots/Prepare",
		"/containerd.services.snapshots.v1.Snapshots/Commit", "/containerd.services.containers.v1.Containers/Create",
		"/containerd.services.images.v1.Images/Create", "/containerd.services.leases.v1.Leases/Create",
		"/containerd.services.transfer.v1.Transfer/Transfer":
		return true
	}
	return false
}

const (
	retries    = 100
	retryPause = 50 * time.Millisecond
)

// unary repeats a call that broke because the other side died in the middle of it: WaitForReady holds each try
// until there is a connection again.
func unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for try := 0; ; try++ {
		err := errgrpc.ToNative(call(inNamespace(ctx), method, req, reply, cc, opts...))
		if !errdefs.IsUnavailable(err) || once(method) || try == retries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryPause):
		}
	}
}

func stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(inNamespace(ctx), desc, cc, method, opts...)
	return s, errgrpc.ToNative(err)
}

// Package client speaks to a manager, ours or containerd: both serve the same
// protocol.
package client

import (
	"context"
	"fmt"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Client is a connection with one client per service.
type Client struct {
	conn          *grpc.ClientConn
	Containers    containersapi.ContainersClient
	Content       contentapi.ContentClient
	Events        eventsapi.EventsClient
	Images        imagesapi.ImagesClient
	Introspection introspectionapi.IntrospectionClient
	Leases        leasesapi.LeasesClient
	Namespaces    namespacesapi.NamespacesClient
	Snapshots     snapshotsapi.SnapshotsClient
	Streaming     streamingapi.StreamingClient
	Tasks         tasksapi.TasksClient
	Transfer      transferapi.TransferClient
	Version       versionapi.VersionClient
}

// maxMessage is containerd's limit.
const maxMessage = 16 << 20

// Dial prepares a connection to a socket; it is made with the first call.
func Dial(address string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(address, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the socket's mode is the lock
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("manager at %s: %w", address, err)
	}
	return &Client{
		conn:          conn,
		Containers:    containersapi.NewContainersClient(conn),
		Content:       contentapi.NewContentClient(conn),
		Events:        eventsapi.NewEventsClient(conn),
		Images:        imagesapi.NewImagesClient(conn),
		Introspection: introspectionapi.NewIntrospectionClient(conn),
		Leases:        leasesapi.NewLeasesClient(conn),
		Namespaces:    namespacesapi.NewNamespacesClient(conn),
		Snapshots:     snapshotsapi.NewSnapshotsClient(conn),
		Streaming:     streamingapi.NewStreamingClient(conn),
		Tasks:         tasksapi.NewTasksClient(conn),
		Transfer:      transferapi.NewTransferClient(conn),
		Version:       versionapi.NewVersionClient(conn),
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// In makes requests of ctx act in a namespace.
func In(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
}

// With makes requests of ctx add what they make to a lease.
func With(ctx context.Context, lease string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", lease)
}

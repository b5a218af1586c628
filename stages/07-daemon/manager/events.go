package manager

import (
	"context"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/services/events/v1"
	"google.golang.org/protobuf/proto"
)

// Happening is an event of the manager that the daemon acts on.
type Happening struct {
	OOM string // id of the container in which the kernel killed for memory
}

// Watch calls seen for every event until ctx ends, and reconnected after each new connection but the first:
// events may have been lost in between, so the receiver looks at the tasks again.
func (c *Client) Watch(ctx context.Context, seen func(Happening), reconnected func()) {
	for first := true; ctx.Err() == nil; first = false {
		sub, err := c.Events.Subscribe(ctx, &events.SubscribeRequest{
			Filters: []string{`namespace==` + Namespace + `,topic=="/tasks/oom"`},
		})
		if err == nil {
			if !first {
				reconnected()
			}
			receive(sub, seen)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func receive(sub events.Events_SubscribeClient, seen func(Happening)) {
	for {
		envelope, err := sub.Recv()
		if err != nil {
			return
		}
		var oom eventstypes.TaskOOM
		if envelope.GetEvent().GetTypeUrl() == "containerd.events.TaskOOM" && proto.Unmarshal(envelope.GetEvent().GetValue(), &oom) == nil {
			seen(Happening{OOM: oom.GetContainerID()})
		}
	}
}

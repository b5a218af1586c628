package service

import (
	"context"
	"errors"
	"time"

	api "github.com/containerd/containerd/api/services/events/v1"
	shimapi "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// Events answers containerd.services.events.v1.
type Events struct {
	api.UnimplementedEventsServer
	Exchange *events.Exchange
}

// Publish sends an event of the request's namespace.
func (s *Events) Publish(ctx context.Context, r *api.PublishRequest) (*emptypb.Empty, error) {
	ns, err := namespace(ctx)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.Exchange.Forward(&types.Envelope{
		Timestamp: timestamppb.New(time.Now()), Namespace: ns, Topic: r.GetTopic(), Event: r.GetEvent(),
	})
}

// Forward passes on an event with its own time and namespace.
func (s *Events) Forward(_ context.Context, r *api.ForwardRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, s.Exchange.Forward(r.GetEnvelope())
}

// Subscribe sends what matches, from all namespaces, until the client leaves. A
// client that is too slow is told so: it has missed something.
func (s *Events) Subscribe(r *api.SubscribeRequest, out api.Events_SubscribeServer) error {
	sub, err := s.Exchange.Subscribe(out.Context(), r.GetFilters()...)
	if err != nil {
		return err
	}
	defer sub.Close()
	// The header is the answer that the subscription stands: without it a client
	// could not know from when on it hears everything.
	if err := out.SendHeader(nil); err != nil {
		return err
	}
	for e := range sub.C {
		if err := out.Send(e); err != nil {
			return err
		}
	}
	return errors.Join(sub.Err(), out.Context().Err())
}

// ShimEvents answers the one ttrpc method that shims call.
type ShimEvents struct {
	Exchange *events.Exchange
}

// Forward passes on a shim's event.
func (s *ShimEvents) Forward(_ context.Context, r *shimapi.ForwardRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, fault.ToGRPC(s.Exchange.Forward(r.GetEnvelope()))
}

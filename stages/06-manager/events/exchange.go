// Package events passes what happened to those who asked. Publishers are our
// own services and, through the ttrpc socket, the shims.
package events

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// backlog is how many events a subscriber may fall behind. One that falls
// further is cut off with an error: it must know that it missed something and
// look again, since a lost TaskExit is a container that never ends.
const backlog = 8192

// Exchange is the meeting point. The zero value is ready for use.
type Exchange struct {
	mu   sync.Mutex // guards subs
	subs map[*Subscription]struct{}
}

// Subscription is one listener.
type Subscription struct {
	C        <-chan *types.Envelope // closed when cut off or cancelled
	c        chan *types.Envelope
	want     filter.Set
	exchange *Exchange
	lagged   bool // guarded by exchange.mu
}

// Publish sends one of our own events, stamped now.
func (x *Exchange) Publish(ns, topic string, event proto.Message) error {
	body, err := Pack(event)
	if err != nil {
		return err
	}
	return x.Forward(&types.Envelope{Timestamp: timestamppb.New(time.Now()), Namespace: ns, Topic: topic, Event: body})
}

// Forward passes on an event that somebody else stamped (a shim, a client).
func (x *Exchange) Forward(e *types.Envelope) error {
	if err := validate(e); err != nil {
		return err
	}
	fields := Fields(e)
	x.mu.Lock()
	defer x.mu.Unlock()
	for s := range x.subs {
		if s.want.Match(fields) {
			x.deliverLocked(s, e)
		}
	}
	return nil
}

// deliverLocked never waits: one slow reader must not delay a shim's TaskExit.
func (x *Exchange) deliverLocked(s *Subscription, e *types.Envelope) {
	select {
	case s.c <- e:
	default:
		s.lagged = true
		x.dropLocked(s)
	}
}

// Subscribe starts listening; filters as in package filter, over topic,
// namespace and event.FIELD. It ends with ctx or Close.
func (x *Exchange) Subscribe(ctx context.Context, filters ...string) (*Subscription, error) {
	want, err := filter.Parse(filters...)
	if err != nil {
		return nil, err
	}
	c := make(chan *types.Envelope, backlog)
	s := &Subscription{C: c, c: c, want: want, exchange: x}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.subs == nil {
		x.subs = map[*Subscription]struct{}{}
	}
	x.subs[s] = struct{}{}
	context.AfterFunc(ctx, s.Close)
	return s, nil
}

// Close stops listening. It may be called more than once.
func (s *Subscription) Close() {
	s.exchange.mu.Lock()
	defer s.exchange.mu.Unlock()
	s.exchange.dropLocked(s)
}

func (x *Exchange) dropLocked(s *Subscription) {
	if _, there := x.subs[s]; there {
		delete(x.subs, s)
		close(s.c)
	}
}

// Err says why C was closed: nil, or that the subscriber was too slow.
func (s *Subscription) Err() error {
	s.exchange.mu.Lock()
	defer s.exchange.mu.Unlock()
	if s.lagged {
		return fault.New(fault.Exhausted, "events: the subscriber fell more than %d behind and missed some", backlog)
	}
	return nil
}

func validate(e *types.Envelope) error {
	if err := meta.ValidName("namespace", e.GetNamespace()); err != nil {
		return err
	}
	if t := e.GetTopic(); !strings.HasPrefix(t, "/") || len(t) < 2 || strings.HasSuffix(t, "/") {
		return fault.New(fault.InvalidArgument, "event topic %q: must begin with / and name something", t)
	}
	if e.GetTimestamp().AsTime().Unix() == 0 {
		return fault.New(fault.InvalidArgument, "event %s: has no time", e.GetTopic())
	}
	return nil
}

// Pack wraps a message as containerd does: the type URL is the bare name.
func Pack(m proto.Message) (*anypb.Any, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: raw}, nil
}

// Package transfer answers containerd's transfer and streaming services: an
// image is pulled by the manager itself, and its progress flows back over a
// stream that the client opened before.
package transfer

import (
	"context"
	"sync"

	streaming "github.com/containerd/containerd/api/services/streaming/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// Streams keeps the streams that clients have opened, by the name they gave.
// The zero value is ready for use.
type Streams struct {
	streaming.UnimplementedStreamingServer

	mu   sync.Mutex // guards open
	open map[string]*Stream
}

// Stream is one conversation of messages.
type Stream struct {
	grpc  streaming.Streaming_StreamServer
	mu    sync.Mutex // one Send at a time; guards ended
	ended bool
	done  chan struct{} // closed when we are through with it
}

// Stream registers what the client opened and lives until one side is done.
func (s *Streams) Stream(g streaming.Streaming_StreamServer) error {
	first, err := g.Recv()
	if err != nil {
		return err
	}
	var init streaming.StreamInit
	if err := Unpack(first, &init); err != nil {
		return err
	}
	st := &Stream{grpc: g, done: make(chan struct{})}
	if err := s.add(init.GetID(), st); err != nil {
		return err
	}
	defer s.remove(init.GetID())
	// The empty answer says that the name is known from now on.
	if err := g.Send(&anypb.Any{}); err != nil {
		return err
	}
	select {
	case <-st.done:
	case <-g.Context().Done():
	}
	st.mu.Lock() // no Send may be under way when the handler returns
	defer st.mu.Unlock()
	st.ended = true
	return nil
}

func (s *Streams) add(id string, st *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" || s.open[id] != nil {
		return fault.New(fault.AlreadyExists, "stream %q: in use or empty", id)
	}
	if s.open == nil {
		s.open = map[string]*Stream{}
	}
	s.open[id] = st
	return nil
}

func (s *Streams) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// Get finds a stream that a request names.
func (s *Streams) Get(id string) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.open[id]
	if st == nil {
		return nil, fault.New(fault.NotFound, "stream %q: not found", id)
	}
	return st, nil
}

// Send passes a message to the client. After the client has left it does nothing:
// nobody wants to know.
func (st *Stream) Send(m proto.Message) error {
	body, err := events.Pack(m)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return nil
	}
	return st.grpc.Send(body)
}

// Ask sends a question and waits for its answer.
func (st *Stream) Ask(ctx context.Context, question, answer proto.Message) error {
	if err := st.Send(question); err != nil {
		return err
	}
	got := make(chan error, 1)
	go func() { // ends with the stream, whose handler outlives the request
		m, err := st.grpc.Recv()
		if err == nil {
			err = Unpack(m, answer)
		}
		got <- err
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the stream from our side.
func (st *Stream) Close() { close(st.done) }

// Unpack reads an Any of an expected type; containerd's URLs are bare names.
func Unpack(a *anypb.Any, into proto.Message) error {
	want := string(into.ProtoReflect().Descriptor().FullName())
	if name := Name(a); name != want {
		return fault.New(fault.InvalidArgument, "message of type %q where %s was expected", name, want)
	}
	if err := proto.Unmarshal(a.GetValue(), into); err != nil {
		return fault.New(fault.InvalidArgument, "message %s: %w", want, err)
	}
	return nil
}

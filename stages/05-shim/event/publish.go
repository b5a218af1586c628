package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

	events "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// RefusedError is the manager's answer to an event it does not want.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the manager refused the event: " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

func isRefused(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

// TTRPC publishes through the manager's ttrpc socket (TTRPC_ADDRESS), service
// containerd.services.events.ttrpc.v1.Events.
type TTRPC struct {
	address string
	client  *ttrpc.Client // nil: not connected; used by the queue's goroutine only
}

// NewTTRPC publishes to a socket, given as a path or as unix://PATH.
func NewTTRPC(address string) *TTRPC {
	return &TTRPC{address: strings.TrimPrefix(address, "unix://")}
}

// Forward sends one event over a connection that is made when needed.
func (t *TTRPC) Forward(ctx context.Context, e *types.Envelope) error {
	if t.client == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", t.address)
		if err != nil {
			return fmt.Errorf("connect to the manager: %w", err)
		}
		t.client = ttrpc.NewClient(conn)
	}
	_, err := events.NewTTRPCEventsClient(t.client).Forward(ctx, &events.ForwardRequest{Envelope: e})
	if err == nil {
		return nil
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.Unimplemented, codes.NotFound, codes.PermissionDenied, codes.FailedPrecondition:
		return &RefusedError{err}
	}
	t.Idle()
	return fmt.Errorf("send event to the manager: %w", err)
}

// Idle closes the connection: a thousand quiet shims cost the manager nothing.
func (t *TTRPC) Idle() {
	if t.client != nil {
		t.client.Close()
		t.client = nil
	}
}

// Program publishes by running the manager's own program, as the shim protocol has it:
// PROGRAM --address ADDR publish --topic T --namespace NS, with the event on stdin.
type Program struct {
	Path, Address string
	Reaper        *reap.Reaper
}

// Forward runs the program once.
func (p *Program) Forward(ctx context.Context, e *types.Envelope) error {
	data, err := proto.Marshal(e.Event)
	if err != nil {
		return &RefusedError{err}
	}
	defer p.Reaper.Launching()()
	cmd := exec.CommandContext(ctx, p.Path, "--address", p.Address, "publish",
		"--topic", e.Topic, "--namespace", e.Namespace)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s publish: %w: %s", p.Path, err, bytes.TrimSpace(out))
	}
	return nil
}

// Idle has nothing to let go.
func (*Program) Idle() {}

// Nobody is told nothing: no manager was named.
type Nobody struct{}

// Forward forgets the event.
func (Nobody) Forward(context.Context, *types.Envelope) error { return nil }

// Idle has nothing to let go.
func (Nobody) Idle() {}

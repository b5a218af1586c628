package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	ttrpcevents "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/05-shim/record"
)

// eventServer is the manager's end of the events, which can go away and come back.
type eventServer struct {
	t      *testing.T
	path   string
	bundle string

	mu       sync.Mutex // guards the fields below
	server   *ttrpc.Server
	got      []string // topic and what identifies it
	unbacked []string // exits that came before their record
}

func newEventServer(t *testing.T, bundle string) *eventServer {
	e := &eventServer{t: t, path: filepath.Join(t.TempDir(), "e"), bundle: bundle}
	e.up()
	t.Cleanup(e.down)
	return e
}

func (e *eventServer) up() {
	l, err := net.Listen("unix", e.path)
	require.NoError(e.t, err)
	server, err := ttrpc.NewServer()
	require.NoError(e.t, err)
	ttrpcevents.RegisterTTRPCEventsService(server, e)
	e.mu.Lock()
	e.server = server
	e.mu.Unlock()
	go server.Serve(context.Background(), l)
}

func (e *eventServer) down() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
	os.Remove(e.path)
}

// Forward is the service.
func (e *eventServer) Forward(_ context.Context, r *ttrpcevents.ForwardRequest) (*emptypb.Empty, error) {
	line, unbacked := e.describe(r.Envelope)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, line)
	if unbacked {
		e.unbacked = append(e.unbacked, line)
	}
	return &emptypb.Empty{}, nil
}

func (e *eventServer) describe(envelope *types.Envelope) (line string, unbacked bool) {
	switch envelope.Topic {
	case "/tasks/exit":
		var exit events.TaskExit
		require.NoError(e.t, proto.Unmarshal(envelope.Event.Value, &exit))
		execID := exit.ID
		if execID == exit.ContainerID {
			execID = ""
		}
		_, err := record.Read(e.bundle, execID)
		return fmt.Sprintf("exit %s %d", exit.ID, exit.ExitStatus), err != nil
	default:
		return strings.TrimPrefix(envelope.Topic, "/tasks/"), false
	}
}

func (e *eventServer) list() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

// want waits until exactly these events have come.
func (e *eventServer) want(events ...string) {
	e.t.Helper()
	require.EventuallyWithT(e.t, func(c *assert.CollectT) { require.Equal(c, events, e.list()) },
		10*time.Second, 10*time.Millisecond)
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Empty(e.t, e.unbacked, "published before the exit record was there")
}

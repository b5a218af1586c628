package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/api/types"

	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

func newLeases(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "leases", Short: "What keeps things from the garbage collector"}
	list := s.verb("ls [FILTER...]", "List leases", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, filters []string) error {
		resp, err := c.Leases.List(ctx, &leasesapi.ListRequest{Filters: filters})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, l := range resp.GetLeases() {
			rows = append(rows, []string{l.GetID(), l.GetCreatedAt().AsTime().Local().Format(time.RFC3339), labels(l.GetLabels())})
		}
		return s.table("ID|CREATED AT|LABELS", rows)
	})
	list.Aliases = []string{"list"}
	cmd.AddCommand(list)
	return cmd
}

func newNamespaces(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "namespaces", Aliases: []string{"namespace", "ns"}, Short: "Separate sets of names over one store"}
	list := s.verb("ls", "List namespaces", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		resp, err := c.Namespaces.List(ctx, &namespacesapi.ListNamespacesRequest{})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, n := range resp.GetNamespaces() {
			rows = append(rows, []string{n.GetName(), labels(n.GetLabels())})
		}
		return s.table("NAME|LABELS", rows)
	})
	list.Aliases = []string{"list"}
	cmd.AddCommand(list)
	return cmd
}

func newEvents(s *session) *cobra.Command {
	return s.verb("events [FILTER...]", "Show events as they happen, until interrupted", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, filters []string) error {
		stream, err := c.Events.Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: filters})
		if err != nil {
			return err
		}
		for {
			e, err := stream.Recv()
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%s %s %s %s\n", e.GetTimestamp().AsTime(), e.GetNamespace(), e.GetTopic(), eventJSON(e))
		}
	})
}

// eventJSON shows an event of a type we do not know as its type.
func eventJSON(e *types.Envelope) string {
	m, err := events.Unpack(e)
	if err != nil {
		return e.GetEvent().GetTypeUrl()
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return e.GetEvent().GetTypeUrl()
	}
	// protojson varies its spaces on purpose; a reader wants one form.
	var tidy bytes.Buffer
	if json.Compact(&tidy, raw) == nil {
		return tidy.String()
	}
	return string(raw)
}

func newVersion(s *session) *cobra.Command {
	return s.verb("version", "Show the client's and the manager's version", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		fmt.Fprintf(s.out, "Client:\n  Version:  %s\n\n", number)
		v, err := c.Version.Version(ctx, &emptypb.Empty{})
		if err != nil {
			return err
		}
		srv, err := c.Introspection.Server(ctx, &emptypb.Empty{})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "Server:\n  Version:  %s\n  Revision: %s\n  UUID: %s\n", v.GetVersion(), v.GetRevision(), srv.GetUUID())
		return nil
	})
}

const number = "0.1.0"

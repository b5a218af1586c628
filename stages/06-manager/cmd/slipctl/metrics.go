package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	_ "github.com/containerd/cgroups/v3/cgroup1/stats" // the messages that arrive as Any
	_ "github.com/containerd/cgroups/v3/cgroup2/stats"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

func newTasksMetrics(s *session) *cobra.Command {
	cmd := s.verb("metrics ID", "Show what a task's control group has used", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Tasks.Metrics(ctx, &tasksapi.MetricsRequest{Filters: []string{"id==" + args[0]}})
		if err != nil {
			return err
		}
		if len(resp.GetMetrics()) == 0 {
			return fmt.Errorf("task %s: no metrics", args[0])
		}
		m := resp.GetMetrics()[0]
		stats, err := events.Unpack(&types.Envelope{Event: m.GetData()})
		if err != nil {
			return err
		}
		if err := s.table("ID|TIMESTAMP", [][]string{{m.GetID(), m.GetTimestamp().AsTime().String()}}); err != nil {
			return err
		}
		fmt.Fprintln(s.out)
		return s.table("METRIC|VALUE", flatten("", stats))
	})
	cmd.Aliases = []string{"metric"}
	return cmd
}

// flatten lists the numbers of a message by their paths; zeros are left out.
func flatten(prefix string, m proto.Message) [][]string {
	var rows [][]string
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := prefix + strings.ToLower(string(fd.Name()))
		switch {
		case fd.IsList() || fd.IsMap():
		case fd.Kind() == protoreflect.MessageKind:
			rows = append(rows, flatten(name+".", v.Message().Interface())...)
		default:
			rows = append(rows, []string{name, v.String()})
		}
		return true
	})
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

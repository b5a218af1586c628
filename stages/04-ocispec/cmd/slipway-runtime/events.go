package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

func newEvents(g *global) *cobra.Command {
	interval, stats := time.Duration(0), false
	cmd := &cobra.Command{
		Use: "events [flags] CONTAINER", Short: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			if interval <= 0 {
				return errors.New("duration interval must be greater than 0")
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return runEvents(cmd.Context(), cmd.OutOrStdout(), rt, args[0], interval, stats)
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", 5*time.Second, "set the stats collection interval")
	cmd.Flags().BoolVar(&stats, "stats", false, "display the container's stats then exit")
	return cmd
}

// event is a line of runc's events.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func runEvents(ctx context.Context, w io.Writer, rt *runtime.Runtime, id string, interval time.Duration, once bool) error {
	out := json.NewEncoder(w)
	group, err := encodeStats(out, rt, id)
	if err != nil || once {
		return err
	}
	oom, err := group.OOM(ctx)
	var none *cgroup.NoControllerError
	if err != nil && !errors.As(err, &none) {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case _, ok := <-oom:
			if !ok { // the group is gone, and the container with it
				return nil
			}
			err = out.Encode(event{Type: "oom", ID: id})
		case <-tick.C:
			_, err = encodeStats(out, rt, id)
			if stopped, ok := errors.AsType[*lifecycle.Error](err); ok && stopped.Status == lifecycle.Stopped {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// encodeStats writes one line of accounts.
func encodeStats(out *json.Encoder, rt *runtime.Runtime, id string) (*cgroup.Group, error) {
	s, group, err := rt.Stats(id)
	if err != nil {
		return nil, err
	}
	more, err := group.V1Details()
	if err != nil {
		return nil, err
	}
	return group, out.Encode(event{"stats", id, runcStats(s, more)})
}

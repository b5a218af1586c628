package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
)

func newFreeze() *cobra.Command {
	return newControl("freeze", "Stop all processes of a group where they are", (*cgroup.Group).Freeze)
}

func newThaw() *cobra.Command {
	return newControl("thaw", "Let the processes of a frozen group go on", (*cgroup.Group).Thaw)
}

func newKill() *cobra.Command {
	return newControl("kill", "Kill all processes of a group and of those below it", (*cgroup.Group).Kill)
}

func newRemove() *cobra.Command {
	kill := false
	cmd := newControl("rm", "Remove a group and those below it", func(g *cgroup.Group, ctx context.Context) error {
		if kill {
			if err := g.Kill(ctx); err != nil {
				return err
			}
		}
		return g.Remove(ctx)
	})
	cmd.Flags().BoolVar(&kill, "kill", false, "kill the processes in it first")
	return cmd
}

// newControl makes a verb that does one thing to each of its groups, and goes on after a failure.
func newControl(verb, short string, do func(*cgroup.Group, context.Context) error) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   verb + " GROUP...",
		Short: short,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs []error
			for _, name := range args {
				errs = append(errs, control(cmd.Context(), name, timeout, do))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the kernel")
	return cmd
}

func control(ctx context.Context, name string, timeout time.Duration, do func(*cgroup.Group, context.Context) error) error {
	g, err := existing(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not done within %s", timeout))
	defer cancel()
	return do(g, ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/06-manager/tree"
)

type treeOptions struct {
	root  int
	json  bool
	watch time.Duration
}

func newTree(s *session) *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use: "tree", Args: cobra.NoArgs,
		Short: "Show the engine's processes: pids outside and inside, own namespaces, memory",
		RunE:  func(cmd *cobra.Command, _ []string) error { return runTree(cmd.Context(), s, o) },
	}
	cmd.Flags().IntVar(&o.root, "pid", 0, "only below this process")
	cmd.Flags().BoolVar(&o.json, "json", false, "as JSON")
	cmd.Flags().DurationVarP(&o.watch, "watch", "w", 0, "again and again, at this interval")
	return cmd
}

// runTree needs no manager: it asks the kernel.
func runTree(ctx context.Context, s *session, o treeOptions) error {
	for {
		if err := showTree(s, o); err != nil || o.watch <= 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.watch):
			fmt.Fprintln(s.out)
		}
	}
}

func showTree(s *session, o treeOptions) error {
	facts, err := tree.Read("/proc")
	if err != nil {
		return err
	}
	pick := tree.Engine
	if o.root != 0 {
		pick = func(p tree.Process) bool { return p.Pid == o.root }
	}
	roots := tree.Build(facts, pick)
	if o.json {
		return printJSON(s.out, roots)
	}
	if len(roots) == 0 {
		return errors.New("no engine is running here")
	}
	return tree.Print(s.out, roots)
}

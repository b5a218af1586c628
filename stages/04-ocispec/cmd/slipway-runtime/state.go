package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

func newState(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "state CONTAINER", Short: "output the state of a container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			view, err := rt.State(args[0])
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), view)
		},
	}
}

// printJSON prints as runc does: indented by two, no newline at the end.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

package main

import "github.com/spf13/cobra"

func newPause(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "pause CONTAINER", Short: "suspend all processes inside the container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return rt.Pause(cmd.Context(), args[0])
		},
	}
}

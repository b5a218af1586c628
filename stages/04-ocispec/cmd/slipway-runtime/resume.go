package main

import "github.com/spf13/cobra"

func newResume(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "resume CONTAINER", Short: "resume all processes that have been paused",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return rt.Resume(cmd.Context(), args[0])
		},
	}
}

package main

import "github.com/spf13/cobra"

func newStart(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "start CONTAINER", Short: "execute the user defined process in a created container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return rt.Start(cmd.Context(), args[0])
		},
	}
}

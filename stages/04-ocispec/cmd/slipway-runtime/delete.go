package main

import "github.com/spf13/cobra"

func newDelete(g *global) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "delete CONTAINER", Short: "delete any resources held by the container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return rt.Delete(cmd.Context(), args[0], force)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "forcibly delete the container if it is still running (uses SIGKILL)")
	return cmd
}

package main

import (
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

func newKill(g *global) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use: "kill CONTAINER [SIGNAL]", Short: "send the specified signal (default: SIGTERM) to the container's init process",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 1, 2); err != nil {
				return err
			}
			name := "SIGTERM"
			if len(args) == 2 {
				name = args[1]
			}
			sig, err := runtime.ParseSignal(name)
			if err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			return rt.Kill(cmd.Context(), args[0], sig, all)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "send the specified signal to all processes inside the container")
	return cmd
}

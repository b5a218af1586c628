package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newKill(app *App) *cobra.Command {
	var o client.ContainerKillOptions
	cmd := &cobra.Command{
		Use: "kill [OPTIONS] CONTAINER [CONTAINER...]", Short: "Kill one or more running containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runKill(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeContainers,
	}
	cmd.Flags().StringVarP(&o.Signal, "signal", "s", "", "Signal to send to the container")
	return cmd
}

func runKill(ctx context.Context, app *App, o client.ContainerKillOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.together(names, func(name string) error {
		_, err := api.ContainerKill(ctx, name, o)
		return err
	})
}

package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newUnpause(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "unpause CONTAINER [CONTAINER...]", Short: "Unpause all processes within one or more containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runUnpause(cmd.Context(), app, args) },
		ValidArgsFunction: app.completeContainers,
	}
}

func runUnpause(ctx context.Context, app *App, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.together(names, func(name string) error {
		_, err := api.ContainerUnpause(ctx, name, client.ContainerUnpauseOptions{})
		return err
	})
}

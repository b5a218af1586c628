package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newPause(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "pause CONTAINER [CONTAINER...]", Short: "Pause all processes within one or more containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runPause(cmd.Context(), app, args) },
		ValidArgsFunction: app.completeContainers,
	}
}

func runPause(ctx context.Context, app *App, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.together(names, func(name string) error {
		_, err := api.ContainerPause(ctx, name, client.ContainerPauseOptions{})
		return err
	})
}

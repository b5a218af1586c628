package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newRestart(app *App) *cobra.Command {
	o := &stopOptions{}
	cmd := &cobra.Command{
		Use: "restart [OPTIONS] CONTAINER [CONTAINER...]", Short: "Restart one or more containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRestart(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeContainers,
	}
	o.bind(cmd, "restart")
	return cmd
}

func runRestart(ctx context.Context, app *App, o *stopOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.each(names, func(name string) error {
		_, err := api.ContainerRestart(ctx, name, client.ContainerRestartOptions{Signal: o.signal, Timeout: o.seconds()})
		return err
	})
}

package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newDiff(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "diff CONTAINER", Short: "Inspect changes to files or directories on a container's filesystem", Args: exactArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runDiff(cmd.Context(), app, args[0]) },
		ValidArgsFunction: app.completeAllContainers,
	}
}

func runDiff(ctx context.Context, app *App, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerDiff(ctx, name, client.ContainerDiffOptions{})
	for _, change := range got.Changes {
		app.println(change.Kind.String(), change.Path)
	}
	return err
}

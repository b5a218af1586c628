package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newRm(app *App) *cobra.Command {
	var o client.ContainerRemoveOptions
	cmd := &cobra.Command{
		Use: "rm [OPTIONS] CONTAINER [CONTAINER...]", Short: "Remove one or more containers", Aliases: []string{"remove"}, Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRm(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeAllContainers,
	}
	cmd.Flags().BoolVarP(&o.Force, "force", "f", false, "Force the removal of a running container (uses SIGKILL)")
	cmd.Flags().BoolVarP(&o.RemoveVolumes, "volumes", "v", false, "Remove anonymous volumes associated with the container")
	cmd.Flags().BoolVarP(&o.RemoveLinks, "link", "l", false, "Remove the specified link")
	return cmd
}

func runRm(ctx context.Context, app *App, o client.ContainerRemoveOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.together(names, func(name string) error {
		_, err := api.ContainerRemove(ctx, name, o)
		if o.Force && isNotFound(err) {
			app.complain(err) // with --force an absent container is said, and is no failure
			return errSaid
		}
		return err
	})
}

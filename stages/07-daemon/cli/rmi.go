package cli

import (
	"context"
	"errors"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type rmiOptions struct{ force, noPrune bool }

func newRmi(app *App, name string) *cobra.Command {
	var o rmiOptions
	cmd := &cobra.Command{
		Use: name + " [OPTIONS] IMAGE [IMAGE...]", Short: "Remove one or more images", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRmi(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeImages,
	}
	if name == "rm" {
		cmd.Aliases = []string{"rmi", "remove"}
	}
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "Force removal of the image")
	cmd.Flags().BoolVar(&o.noPrune, "no-prune", false, "Do not delete untagged parents")
	return cmd
}

func runRmi(ctx context.Context, app *App, o rmiOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	var failed error
	for _, name := range names {
		got, err := api.ImageRemove(ctx, name, client.ImageRemoveOptions{Force: o.force, PruneChildren: !o.noPrune})
		switch {
		case o.force && isNotFound(err):
			app.complain(err)
			continue
		case err != nil:
			failed = errors.Join(failed, err)
			continue
		}
		for _, item := range got.Items {
			if item.Deleted != "" {
				app.println("Deleted: " + item.Deleted)
			} else {
				app.println("Untagged: " + item.Untagged)
			}
		}
	}
	return failed
}

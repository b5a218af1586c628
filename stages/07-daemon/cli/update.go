package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

func newUpdate(app *App) *cobra.Command {
	f := &runflags.Update{}
	cmd := &cobra.Command{
		Use: "update [OPTIONS] CONTAINER [CONTAINER...]", Short: "Update configuration of one or more containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runUpdate(cmd.Context(), app, f, args) },
		ValidArgsFunction: app.completeAllContainers,
	}
	f.Bind(cmd.Flags())
	return cmd
}

func runUpdate(ctx context.Context, app *App, f *runflags.Update, names []string) error {
	resources, policy, err := f.Compile()
	if err != nil {
		return err
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.each(names, func(name string) error {
		got, err := api.ContainerUpdate(ctx, name, client.ContainerUpdateOptions{Resources: resources, RestartPolicy: policy})
		for _, warning := range got.Warnings {
			app.warn(warning)
		}
		return err
	})
}

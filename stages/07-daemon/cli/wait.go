package cli

import (
	"context"
	"errors"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newWait(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "wait CONTAINER [CONTAINER...]", Short: "Block until one or more containers stop, then print their exit codes", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runWait(cmd.Context(), app, args) },
		ValidArgsFunction: app.completeContainers,
	}
}

func runWait(ctx context.Context, app *App, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	var failed error
	for _, name := range names {
		waiting := api.ContainerWait(ctx, name, client.ContainerWaitOptions{})
		select {
		case got := <-waiting.Result:
			app.println(got.StatusCode)
		case err := <-waiting.Error:
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newRename(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "rename CONTAINER NEW_NAME", Short: "Rename a container", Args: exactArgs(2),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRename(cmd.Context(), app, args[0], args[1]) },
		ValidArgsFunction: app.completeAllContainers,
	}
}

func runRename(ctx context.Context, app *App, name, to string) error {
	if strings.TrimSpace(name) == "" || strings.TrimSpace(to) == "" {
		return errors.New("neither old nor new names may be empty")
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	_, err = api.ContainerRename(ctx, name, client.ContainerRenameOptions{NewName: to})
	return err
}

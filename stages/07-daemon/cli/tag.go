package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newTag(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", Short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", Args: exactArgs(2),
		RunE:              func(cmd *cobra.Command, args []string) error { return runTag(cmd.Context(), app, args[0], args[1]) },
		ValidArgsFunction: app.completeImages,
	}
}

func runTag(ctx context.Context, app *App, source, target string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	_, err = api.ImageTag(ctx, client.ImageTagOptions{Source: source, Target: target})
	return err
}

package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

func newCommit(app *App) *cobra.Command {
	var o client.ContainerCommitOptions
	cmd := &cobra.Command{
		Use: "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]", Short: "Create a new image from a container's changes", Args: cobra.MatchAll(minArgs(1), cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				o.Reference = args[1]
			}
			return runCommit(cmd.Context(), app, o, args[0])
		},
		ValidArgsFunction: app.completeAllContainers,
	}
	cmd.Flags().StringVarP(&o.Comment, "message", "m", "", "Commit message")
	cmd.Flags().StringVarP(&o.Author, "author", "a", "", `Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")`)
	cmd.Flags().VarP(runflags.List(&o.Changes), "change", "c", "Apply Dockerfile instruction to the created image")
	return cmd
}

func runCommit(ctx context.Context, app *App, o client.ContainerCommitOptions, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerCommit(ctx, name, o)
	if err != nil {
		return err
	}
	app.println(got.ID)
	return nil
}

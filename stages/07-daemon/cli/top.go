package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newTop(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "top CONTAINER [ps OPTIONS]", Short: "Display the running processes of a container", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runTop(cmd.Context(), app, args) },
		ValidArgsFunction: app.completeContainers,
	}
	cmd.Flags().SetInterspersed(false) // what follows is for ps
	return cmd
}

func runTop(ctx context.Context, app *App, args []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerTop(ctx, args[0], client.ContainerTopOptions{Arguments: args[1:]})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(app.Out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(got.Titles, "\t"))
	for _, process := range got.Processes {
		fmt.Fprintln(w, strings.Join(process, "\t"))
	}
	return w.Flush()
}

package cli

import (
	"context"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newLogs(app *App) *cobra.Command {
	var o client.ContainerLogsOptions
	cmd := &cobra.Command{
		Use: "logs [OPTIONS] CONTAINER", Short: "Fetch the logs of a container", Args: exactArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), app, o, args[0]) },
		ValidArgsFunction: app.completeContainers,
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.Follow, "follow", "f", false, "Follow log output")
	fs.StringVar(&o.Since, "since", "", `Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)`)
	fs.StringVar(&o.Until, "until", "", `Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)`)
	fs.BoolVarP(&o.Timestamps, "timestamps", "t", false, "Show timestamps")
	fs.BoolVar(&o.Details, "details", false, "Show extra details provided to logs")
	fs.StringVarP(&o.Tail, "tail", "n", "all", "Number of lines to show from the end of the logs")
	return cmd
}

func runLogs(ctx context.Context, app *App, o client.ContainerLogsOptions, name string) error {
	o.ShowStdout, o.ShowStderr = true, true
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	logs, err := api.ContainerLogs(ctx, got.Container.ID, o)
	if err != nil {
		return err
	}
	defer closeAfter(logs)
	if got.Container.Config.Tty {
		_, err = io.Copy(app.Out, logs)
	} else {
		_, err = stdcopy.StdCopy(app.Out, app.Err, logs)
	}
	return err
}

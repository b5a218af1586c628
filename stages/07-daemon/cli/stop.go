package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type stopOptions struct {
	signal  string
	timeout int
	timed   bool // whether the timeout was given: 0 means at once
}

func (o *stopOptions) bind(cmd *cobra.Command, verb string) {
	fs := cmd.Flags()
	fs.StringVarP(&o.signal, "signal", "s", "", "Signal to send to the container")
	fs.IntVarP(&o.timeout, "timeout", "t", 0, "Seconds to wait before killing the container")
	fs.IntVar(&o.timeout, "time", 0, "Seconds to wait before killing the container")
	fs.Lookup("time").Hidden = true
	cmd.PreRun = func(*cobra.Command, []string) { o.timed = fs.Changed("timeout") || fs.Changed("time") }
}

// seconds is nil where the user left the time to the container's own setting.
func (o *stopOptions) seconds() *int {
	if !o.timed {
		return nil
	}
	return &o.timeout
}

func newStop(app *App) *cobra.Command {
	o := &stopOptions{}
	cmd := &cobra.Command{
		Use: "stop [OPTIONS] CONTAINER [CONTAINER...]", Short: "Stop one or more running containers", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runStop(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeContainers,
	}
	o.bind(cmd, "stop")
	return cmd
}

func runStop(ctx context.Context, app *App, o *stopOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.together(names, func(name string) error {
		_, err := api.ContainerStop(ctx, name, client.ContainerStopOptions{Signal: o.signal, Timeout: o.seconds()})
		return err
	})
}

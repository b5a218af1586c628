package cli

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

func newNetworkConnect(app *App) *cobra.Command {
	f := &runflags.Endpoint{}
	cmd := &cobra.Command{
		Use: "connect [OPTIONS] NETWORK CONTAINER", Short: "Connect a container to a network", Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNetworkConnect(cmd.Context(), app, f, args[0], args[1])
		},
	}
	f.Bind(cmd.Flags())
	return cmd
}

func runNetworkConnect(ctx context.Context, app *App, f *runflags.Endpoint, name, container string) error {
	endpoint, err := f.Compile()
	if err != nil {
		return err
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	_, err = api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: container, EndpointConfig: endpoint})
	return err
}

func newNetworkDisconnect(app *App) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "disconnect [OPTIONS] NETWORK CONTAINER", Short: "Disconnect a container from a network", Args: exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNetworkDisconnect(cmd.Context(), app, force, args[0], args[1])
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Force the container to disconnect from a network")
	return cmd
}

func runNetworkDisconnect(ctx context.Context, app *App, force bool, name, container string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	_, err = api.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: container, Force: force})
	return err
}

func newNetworkRm(app *App) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "rm NETWORK [NETWORK...]", Short: "Remove one or more networks", Aliases: []string{"remove"}, Args: minArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runNetworkRm(cmd.Context(), app, force, args) },
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Do not error if the network does not exist")
	return cmd
}

func runNetworkRm(ctx context.Context, app *App, force bool, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	return app.each(names, func(name string) error {
		_, err := api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
		if force && isNotFound(err) {
			return errSaid // silently: that it is gone is what was wanted
		}
		return err
	})
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// version of this program.
const version = "0.1.0"

func newRoot() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "slipway-daemon [OPTIONS]",
		Short: "Serve the Docker Engine API: containers, images, networks and volumes for docker, slipway and their kin",
		Args:  cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Version {
				fmt.Fprintf(cmd.OutOrStdout(), "Slipway version %s\n", version)
				return nil
			}
			if err := o.readConfigFile(cmd.Flags()); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			return serve(ctx, o, os.Stderr)
		},
	}
	o.bind(cmd.Flags())
	return cmd
}

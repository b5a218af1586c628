package main

import (
	"context"
	"io"

	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

type unpackOptions struct {
	*globals
	bundle   bool
	platform string
}

func newUnpack(g *globals) *cobra.Command {
	o := unpackOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Put all layers of an image into one plain directory",
		Long: `Put all layers of an image into one plain directory, which is made or must be empty. The image is pulled when it is not there.
With --bundle DIR gets a rootfs/ and the config.json that a runtime wants, and "rootfs repack" makes an image of it again.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUnpack(cmd.Context(), cmd.ErrOrStderr(), o, args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&o.bundle, "bundle", false, "make DIR a bundle for a runtime; it must not exist")
	cmd.Flags().StringVar(&o.platform, "platform", "", "`OS/ARCH[/VARIANT]` instead of this machine's")
	return cmd
}

func runUnpack(ctx context.Context, progress io.Writer, o unpackOptions, ref, dir string) error {
	options, err := o.pullOptions(progress)
	if err != nil {
		return err
	}
	if options.Platform, err = parsePlatform(o.platform); err != nil {
		return err
	}
	return o.with(ctx, func(s *state) error {
		img, err := s.ensure(ctx, ref, options)
		if err != nil {
			return err
		}
		if o.bundle {
			return bundle.Unpack(ctx, img, s.store, dir, options)
		}
		return pull.UnpackDir(ctx, img, s.store, dir, options)
	})
}

package main

import (
	"context"
	"io"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

func newUnpack(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Put all layers of an image into one plain directory",
		Long:  "Put all layers of an image into one plain directory, which is made or must be empty. The image is pulled when it is not there.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUnpack(cmd.Context(), cmd.ErrOrStderr(), g, args[0], args[1])
		},
	}
}

func runUnpack(ctx context.Context, progress io.Writer, g *globals, ref, dir string) error {
	options := g.pullOptions(progress)
	return g.with(ctx, func(s *state) error {
		img, err := s.ensure(ctx, ref, options)
		if err != nil {
			return err
		}
		return pull.UnpackDir(ctx, img, s.store, dir, options)
	})
}

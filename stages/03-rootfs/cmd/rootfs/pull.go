package main

import (
	"context"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

type pullOptions struct {
	*globals
	platform string
	noUnpack bool
}

func newPull(g *globals) *cobra.Command {
	o := pullOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "pull IMAGE",
		Short: "Bring an image from its registry and unpack it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPull(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, args[0])
		},
	}
	cmd.Flags().StringVar(&o.platform, "platform", "", "`OS/ARCH[/VARIANT]` instead of this machine's")
	cmd.Flags().BoolVar(&o.noUnpack, "no-unpack", false, "only download")
	return cmd
}

func runPull(ctx context.Context, out, progress io.Writer, o pullOptions, ref string) error {
	options, err := o.pullOptions(progress)
	if err != nil {
		return err
	}
	if options.Platform, err = parsePlatform(o.platform); err != nil {
		return err
	}
	return o.with(ctx, func(s *state) error {
		var img pull.Image
		var err error
		if o.noUnpack {
			img, err = pull.Fetch(ctx, ref, s.store, options)
		} else {
			img, _, err = pull.Pull(ctx, ref, s.store, s.snapshots, options)
		}
		if err == nil {
			err = s.names.Set(img.Name, img.Target)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, img.Name+"@"+img.Target.Digest.String())
		return err
	})
}

// parsePlatform gives nil, this machine's, for "".
func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	p, err := pull.ParsePlatform(text)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/distribution/reference"
	"github.com/docker/go-units"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

func newLs(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLs(cmd.Context(), cmd.OutOrStdout(), g)
		},
	}
}

func runLs(ctx context.Context, out io.Writer, g *globals) error {
	return g.with(ctx, func(s *state) error {
		all, err := s.names.List()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "IMAGE\tDIGEST\tPLATFORM\tLAYERS\tSIZE")
		for _, d := range all {
			fmt.Fprintln(w, s.row(d))
		}
		return w.Flush()
	})
}

// row is one line of the list. An image for another platform alone has no more to tell here than its digest.
func (s *state) row(d ocispec.Descriptor) string {
	img, err := pull.ReadImage(s.store, d, nil)
	if errors.Is(err, pull.ErrPlatform) || errors.Is(err, pull.ErrNotFound) {
		return fmt.Sprintf("%s\t%s\t-\t-\t-", familiar(layout.Name(d)), d.Digest.Encoded()[:12])
	}
	if err != nil {
		return fmt.Sprintf("%s\t%s\t%v\t\t", familiar(layout.Name(d)), d.Digest.Encoded()[:12], err)
	}
	size := img.Manifest.Size + img.Config.Size
	for _, l := range img.Layers {
		size += l.Size
	}
	return fmt.Sprintf("%s\t%s\t%s/%s\t%d\t%s", familiar(layout.Name(d)), d.Digest.Encoded()[:12],
		img.Platform.OS, img.Platform.Architecture, len(img.Layers), units.HumanSize(float64(size)))
}

// familiar is the name as people write it.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}

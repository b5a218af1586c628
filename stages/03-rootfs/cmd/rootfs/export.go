package main

import (
	"context"
	"io"

	"github.com/slipway-engine/slipway/stages/03-rootfs/archive"
	"github.com/spf13/cobra"
)

type exportOptions struct {
	*globals
	format, platform string
}

func newExport(g *globals) *cobra.Command {
	o := exportOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "export IMAGE PATH",
		Short: "Write an image to an archive or an OCI layout",
		Long: `Write an image to PATH: an archive, or the directory of an OCI layout, to which it is added when there is one. "-" is standard output.
An index of which only one platform's image is here is not written: that image is.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExport(cmd.Context(), cmd.OutOrStdout(), o, args[0], args[1])
		},
	}
	cmd.Flags().StringVar(&o.format, "format", string(archive.OCIArchive), "`FORMAT`: oci (a directory), oci-archive, or docker-archive, which docker load reads")
	cmd.Flags().StringVar(&o.platform, "platform", "", "only the image for `OS/ARCH[/VARIANT]`")
	return cmd
}

func runExport(ctx context.Context, out io.Writer, o exportOptions, ref, path string) error {
	return o.with(ctx, func(s *state) error {
		target, err := s.sendable(ref, o.platform)
		if err != nil {
			return err
		}
		name, err := canonical(ref)
		if err != nil {
			return err
		}
		return archive.ExportPath(ctx, archive.Format(o.format), path, out, archive.Image{Name: name, Target: target}, s.store)
	})
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/slipway-engine/slipway/stages/03-rootfs/archive"
	"github.com/spf13/cobra"
)

func newImport(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "import PATH [NAME]",
		Short: "Take images from an archive or an OCI layout",
		Long: `Take images from PATH: the tar that "docker save" writes, the tar of an OCI image layout, or the directory of one.
"-" is standard input. NAME is for an archive with one image, whatever it is called there; one that holds several keeps its names.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 2 {
				name = args[1]
			}
			return runImport(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), g, args[0], name)
		},
	}
}

func runImport(ctx context.Context, in io.Reader, out io.Writer, g *globals, path, name string) error {
	return g.with(ctx, func(s *state) error {
		images, err := archive.ImportPath(ctx, path, in, s.store)
		if err != nil {
			return err
		}
		for _, img := range images {
			if name != "" && len(images) == 1 {
				img.Name = name
			}
			if img.Name == "" {
				return fmt.Errorf("%s: the image %s has no name: give one", path, img.Target.Digest)
			}
			full, err := canonical(img.Name)
			if err != nil {
				return err
			}
			if err := s.names.Set(full, img.Target); err != nil {
				return err
			}
			fmt.Fprintln(out, full+"@"+img.Target.Digest.String())
		}
		return nil
	})
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

type pushOptions struct {
	*globals
	platform string
}

func newPush(g *globals) *cobra.Command {
	o := pushOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "push IMAGE [NAME]",
		Short: "Send an image to a registry",
		Long: `Send an image to the registry that it is named after, or that NAME is; then it is NAME here, too. What the registry has is not sent again. An index
of which only one platform's image is here is not sent: that image is.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, args[0], args[len(args)-1])
		},
	}
	cmd.Flags().StringVar(&o.platform, "platform", "", "only the image for `OS/ARCH[/VARIANT]`")
	return cmd
}

func runPush(ctx context.Context, out, progress io.Writer, o pushOptions, ref, as string) error {
	options, err := o.pullOptions(progress)
	if err != nil {
		return err
	}
	name, err := canonical(as)
	if err != nil {
		return err
	}
	return o.with(ctx, func(s *state) error {
		target, err := s.sendable(ref, o.platform)
		if err != nil {
			return err
		}
		sources, err := s.sources(name)
		if err != nil {
			return err
		}
		if err := pull.Push(ctx, name, target, s.store, sources, options); err != nil {
			return err
		}
		if as != ref { // from now on it has this name here, too
			if err := s.names.Set(name, target); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(out, name+"@"+target.Digest.String())
		return err
	})
}

// sendable is what of an image can leave this machine: all of an index when all of it is here, else one platform's image.
func (s *state) sendable(ref, platform string) (ocispec.Descriptor, error) {
	wanted, err := parsePlatform(platform)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	name, err := canonical(ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if wanted == nil {
		desc, err := s.names.Get(name)
		if err != nil {
			return desc, err
		}
		if whole, err := pull.Complete(s.store, desc); err != nil || whole {
			return bare(desc), err
		}
	}
	img, err := s.find(ref, wanted)
	return bare(img.Manifest), err
}

// bare is a descriptor without what an index said of it.
func bare(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// sources tells for each blob which repositories, of the registry that ref names, had it when it was pulled.
func (s *state) sources(ref string) (map[digest.Digest][]string, error) {
	to, err := pull.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	all, err := s.names.List()
	if err != nil {
		return nil, err
	}
	sources := map[digest.Digest][]string{}
	for _, d := range all {
		from, err := pull.ParseReference(layout.Name(d))
		if err != nil || reference.Domain(from) != reference.Domain(to) || reference.Path(from) == reference.Path(to) {
			continue
		}
		img, err := pull.ReadImage(s.store, d, nil)
		if err != nil {
			continue // another platform's image: it has nothing to mount
		}
		for _, b := range append(img.Layers, img.Config) {
			sources[b.Digest] = append(sources[b.Digest], reference.Path(from))
		}
	}
	return sources, nil
}

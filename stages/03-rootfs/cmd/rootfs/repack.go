package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/spf13/cobra"
)

type repackOptions struct {
	*globals
	history ocispec.History
	created string
}

func newRepack(g *globals) *cobra.Command {
	o := repackOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "repack BUNDLE IMAGE",
		Short: "Make an image of a bundle that was changed: the one it came from and one layer more",
		Long: `Make IMAGE of BUNDLE, which "rootfs unpack --bundle" made: the image it came from and one layer more with what changed in
BUNDLE/rootfs since. config.json is the runtime's and not looked at. When nothing changed, IMAGE is another name of the same image.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRepack(cmd.Context(), cmd.OutOrStdout(), o, args[0], args[1])
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.history.Author, "history.author", "", "who made the layer")
	f.StringVar(&o.history.Comment, "history.comment", "", "what it is for")
	f.StringVar(&o.history.CreatedBy, "history.created_by", "rootfs repack", "what made it")
	f.StringVar(&o.created, "history.created", "", "`TIME` as RFC 3339 tells it, now by default")
	return cmd
}

func runRepack(ctx context.Context, out io.Writer, o repackOptions, dir, ref string) error {
	name, err := canonical(ref)
	if err != nil {
		return err
	}
	now := time.Now()
	if o.created != "" {
		if now, err = time.Parse(time.RFC3339, o.created); err != nil {
			return fmt.Errorf("--history.created: %w", err)
		}
	}
	o.history.Created = bundle.Created(now)
	note, err := bundle.ReadNote(dir)
	if err != nil {
		return err
	}
	return o.with(ctx, func(s *state) error {
		img, err := pull.ReadImage(s.store, note.Manifest, nil)
		if err != nil {
			return fmt.Errorf("the image that %s came from, %s: %w", dir, note.Name, err)
		}
		img.Name = note.Name
		desc, err := s.repack(ctx, img, bundle.Rootfs(dir), o.history)
		if err != nil {
			return fmt.Errorf("repack %s: %w", dir, err)
		}
		if err := s.names.Set(name, desc); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, name+"@"+desc.Digest.String())
		return err
	})
}

var errChanged = errors.New("something changed")

func (s *state) repack(ctx context.Context, img pull.Image, rootfs string, history ocispec.History) (desc ocispec.Descriptor, err error) {
	chain, err := pull.Unpack(ctx, img, s.store, s.snapshots, pull.Options{})
	if err != nil {
		return desc, err
	}
	err = s.look(ctx, func(t *forest) error {
		lower, err := t.tree(ctx, chain)
		if err != nil {
			return err
		}
		err = layer.Changes(ctx, lower, rootfs, func(layer.Change) error { return errChanged })
		if err == nil {
			desc = bare(img.Manifest)
			return nil
		}
		if !errors.Is(err, errChanged) {
			return err
		}
		desc, err = bundle.AddLayer(ctx, img, s.store, history, func(w io.Writer) error { return layer.Diff(ctx, lower, rootfs, w) })
		return err
	})
	return desc, err
}

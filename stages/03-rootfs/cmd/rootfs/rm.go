package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/spf13/cobra"
)

func newRm(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "rm IMAGE...",
		Short: "Forget images, and remove what no other image needs",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRm(cmd.Context(), cmd.OutOrStdout(), g, args)
		},
	}
}

func runRm(ctx context.Context, out io.Writer, g *globals, refs []string) error {
	return g.with(ctx, func(s *state) error {
		var failed error
		for _, ref := range refs {
			name, err := canonical(ref)
			if err == nil {
				err = s.names.Remove(name)
			}
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			fmt.Fprintln(out, "removed", familiar(name))
		}
		return errors.Join(failed, s.collect(ctx))
	})
}

// collect removes blobs and snapshots that no name leads to. Snapshots that a running container stands on stay.
func (s *state) collect(ctx context.Context) error {
	all, err := s.names.List()
	if err != nil {
		return err
	}
	blobs, chains := map[digest.Digest]bool{}, map[string]bool{}
	for _, d := range all {
		if err := s.mark(d, blobs, chains); err != nil {
			return err
		}
	}
	var goneBlobs []digest.Digest
	if err := s.store.Walk(func(i content.Info) error {
		if !blobs[i.Digest] {
			goneBlobs = append(goneBlobs, i.Digest)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, d := range goneBlobs {
		err = errors.Join(err, s.store.Delete(d))
	}
	return errors.Join(err, s.sweepSnapshots(ctx, chains))
}

// mark notes what one descriptor needs: all that is in the store of an index, not only what is for this machine.
func (s *state) mark(d ocispec.Descriptor, blobs map[digest.Digest]bool, chains map[string]bool) error {
	if _, err := s.store.Info(d.Digest); errors.Is(err, content.ErrNotFound) {
		return nil // an index names more than was pulled
	}
	blobs[d.Digest] = true
	children, err := pull.Children(s.store, d)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	for _, c := range children {
		if pull.IsManifest(c) {
			err = errors.Join(err, s.mark(c, blobs, chains))
			continue
		}
		blobs[c.Digest] = true
	}
	if img, imgErr := pull.ReadImage(s.store, d, nil); imgErr == nil {
		for _, id := range pull.ChainIDs(img.DiffIDs) {
			chains[id.String()] = true
		}
	}
	return err
}

func (s *state) sweepSnapshots(ctx context.Context, keep map[string]bool) error {
	var gone []string
	err := s.snapshots.Walk(ctx, func(i snapshot.Info) error {
		if i.Kind == snapshot.Committed && strings.HasPrefix(i.Name, "sha256:") && !keep[i.Name] {
			gone = append(gone, i.Name)
		}
		return nil
	})
	slices.Reverse(gone) // children first
	for _, name := range gone {
		if rmErr := s.snapshots.Remove(ctx, name); rmErr != nil && !errors.Is(rmErr, snapshot.ErrInvalid) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/docker/go-units"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/spf13/cobra"
)

func newTree(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "tree",
		Short: "Show which snapshot lies on which, and whose they are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTree(cmd.Context(), cmd.OutOrStdout(), g)
		},
	}
}

func runTree(ctx context.Context, out io.Writer, g *globals) error {
	return g.with(ctx, func(s *state) error {
		tops, err := s.tops()
		if err != nil {
			return err
		}
		children := map[string][]snapshot.Info{}
		err = s.snapshots.Walk(ctx, func(i snapshot.Info) error {
			children[i.Parent] = append(children[i.Parent], i)
			return nil
		})
		if err != nil {
			return err
		}
		return s.branch(ctx, out, children, tops, "", 0)
	})
}

// tops gives the images that end in a snapshot, by its name.
func (s *state) tops() (map[string][]string, error) {
	all, err := s.names.List()
	if err != nil {
		return nil, err
	}
	tops := map[string][]string{}
	for _, d := range all {
		img, err := pull.ReadImage(s.store, d, nil)
		if err != nil || len(img.DiffIDs) == 0 {
			continue // not for this machine: it has no snapshots here
		}
		ids := pull.ChainIDs(img.DiffIDs)
		top := ids[len(ids)-1].String()
		tops[top] = append(tops[top], familiar(layout.Name(d)))
	}
	return tops, nil
}

func (s *state) branch(ctx context.Context, out io.Writer, children map[string][]snapshot.Info, tops map[string][]string, parent string, depth int) error {
	for _, i := range children[parent] {
		u, err := s.snapshots.Usage(ctx, i.Name)
		if err != nil {
			return err
		}
		name := i.Name
		if hex, ok := strings.CutPrefix(name, "sha256:"); ok && len(hex) > 12 {
			name = hex[:12]
		}
		fmt.Fprintf(out, "%s%-9s  %s  %s, %d files  %s\n", strings.Repeat("   ", depth), strings.ToLower(i.Kind.String()), name,
			units.HumanSize(float64(u.Size)), u.Inodes, strings.Join(tops[i.Name], " "))
		if err := s.branch(ctx, out, children, tops, i.Name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

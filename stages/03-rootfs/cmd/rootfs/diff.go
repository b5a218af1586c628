package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/spf13/cobra"
)

type diffOptions struct {
	*globals
	output string
}

func newDiff(g *globals) *cobra.Command {
	o := diffOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "diff [A] B",
		Short: "Show what changed from one tree to another, or write it as a layer",
		Long: `Show what changed from A to B: A added, C changed, D deleted. A and B are directories, images, or snapshots as "rootfs tree"
shows them; a directory has a slash in its name. Without A, B is a snapshot and held against its parent, an image against the one
below its last layer.`,
		Example: `  rootfs diff alpine mine
  rootfs diff ./before ./after -o layer.tar`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDiff(cmd.Context(), cmd.OutOrStdout(), o, args)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write the layer as a tar to `FILE`, - is standard output")
	return cmd
}

func runDiff(ctx context.Context, out io.Writer, o diffOptions, words []string) error {
	return o.with(ctx, func(s *state) error {
		return s.look(ctx, func(t *forest) error {
			lower, upper, err := t.both(ctx, words)
			if err != nil {
				return err
			}
			switch o.output {
			case "":
				return list(ctx, out, lower, upper)
			case "-":
				return layer.Diff(ctx, lower, upper, out)
			}
			return writeFile(o.output, func(w io.Writer) error { return layer.Diff(ctx, lower, upper, w) })
		})
	})
}

func (t *forest) both(ctx context.Context, words []string) (lower, upper string, err error) {
	if len(words) == 2 {
		if lower, err = t.treeOf(ctx, words[0]); err == nil {
			upper, err = t.treeOf(ctx, words[1])
		}
		return lower, upper, err
	}
	name, err := t.snapshotOf(ctx, words[0])
	if err != nil {
		return "", "", err
	}
	info, err := t.snapshots.Stat(ctx, name)
	if err != nil {
		return "", "", err
	}
	if lower, err = t.tree(ctx, info.Parent); err == nil {
		upper, err = t.tree(ctx, name)
	}
	return lower, upper, err
}

func list(ctx context.Context, out io.Writer, lower, upper string) error {
	w := bufio.NewWriter(out)
	err := layer.Changes(ctx, lower, upper, func(c layer.Change) error {
		_, err := fmt.Fprintf(w, "%c %s\n", c.Kind, c.Path)
		return err
	})
	return errors.Join(err, w.Flush())
}

// writeFile writes a file that appears only when it is whole.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

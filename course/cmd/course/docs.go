package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/chapter"
)

type docsOptions struct{ check, run bool }

func newDocs() *cobra.Command {
	var o docsOptions
	cmd := &cobra.Command{
		Use: "docs [PAGE]", Short: "Fill the generated tables and snippets of the chapters; --run executes them, or those whose name begins with PAGE", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDocs(cmd.Context(), cmd.OutOrStdout(), o, strings.Join(args, ""))
		},
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "only say which chapters are stale")
	cmd.Flags().BoolVar(&o.run, "run", false, "execute the blocks marked ```console run, and compare")
	return cmd
}

func runDocs(ctx context.Context, out io.Writer, o docsOptions, only string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	if o.run {
		return runConsole(ctx, out, root, only)
	}
	stale, err := chapter.Stale(root)
	if err != nil {
		return err
	}
	for _, s := range stale {
		fmt.Fprintln(out, s)
	}
	if o.check && len(stale) > 0 {
		return fmt.Errorf("these are not what `course docs` makes of them")
	}
	return chapter.Fill(root)
}

func runConsole(ctx context.Context, out io.Writer, root, only string) error {
	before := parents()
	results, err := chapter.Run(ctx, root, only)
	if err = errors.Join(err, removeParents(before)); err != nil {
		return err
	}
	failed, skipped := 0, 0
	for _, r := range results {
		switch {
		case r.Skip != "":
			skipped++
			fmt.Fprintf(out, "skip %s:%d %s\n", r.File, r.Line, r.Skip)
		case r.Fault != "":
			failed++
			fmt.Fprintf(out, "FAIL %s:%d\n%s\n", r.File, r.Line, r.Fault)
		default:
			fmt.Fprintf(out, "ok   %s:%d\n", r.File, r.Line)
		}
	}
	fmt.Fprintf(out, "docs: %d passed, %d failed, %d skipped\n", len(results)-failed-skipped, failed, skipped)
	if failed > 0 {
		return exitCode(1)
	}
	return nil
}

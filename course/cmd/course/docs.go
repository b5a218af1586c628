package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/chapter"
)

type docsOptions struct{ check, run bool }

func newDocs() *cobra.Command {
	var o docsOptions
	cmd := &cobra.Command{
		Use: "docs", Short: "Fill the generated tables and snippets of the chapters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDocs(cmd.Context(), cmd.OutOrStdout(), o) },
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "only say which chapters are stale")
	cmd.Flags().BoolVar(&o.run, "run", false, "execute the blocks marked ```console run, and compare")
	return cmd
}

func runDocs(ctx context.Context, out io.Writer, o docsOptions) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	if o.run {
		return runConsole(ctx, out, root)
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

func runConsole(ctx context.Context, out io.Writer, root string) error {
	results, err := chapter.Run(ctx, root)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if r.Fault == "" {
			fmt.Fprintf(out, "ok   %s:%d\n", r.File, r.Line)
			continue
		}
		failed++
		fmt.Fprintf(out, "FAIL %s:%d\n%s\n", r.File, r.Line, r.Fault)
	}
	fmt.Fprintf(out, "docs: %d passed, %d failed\n", len(results)-failed, failed)
	if failed > 0 {
		return exitCode(1)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/matrix"
)

func newCheck() *cobra.Command {
	update := false
	cmd := &cobra.Command{
		Use: "check [STAGE...]", Short: "Prove every exercise: solution, stub, skeleton and mistakes",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), cmd.OutOrStdout(), args, update)
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "write the mistakes' golden texts")
	return cmd
}

func runCheck(ctx context.Context, out io.Writer, args []string, update bool) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := chosen(root, args)
	if err != nil {
		return err
	}
	var faults []string
	checks, skipped, exercises, mistakes := 0, 0, 0, 0
	for _, s := range stages {
		list, err := exercise.Load(root, s)
		if err != nil {
			return err
		}
		m := matrix.Matrix{Root: root, Stage: s, Exercises: list, Update: update, Out: out}
		if err := m.Prove(ctx); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		faults = append(faults, m.Faults...)
		checks, skipped, exercises = checks+m.Checks, skipped+m.Skipped, exercises+len(list)
		for _, e := range list {
			mistakes += len(e.Mistakes)
		}
	}
	for _, f := range faults {
		fmt.Fprintf(out, "FAIL %s\n", f)
	}
	fmt.Fprintf(out, "%d exercises, %d mistakes with golden texts; %d not verifiable here\n", exercises, mistakes, skipped)
	fmt.Fprintf(out, "course: %d passed, %d failed, %d skipped\n", checks-len(faults)-skipped, len(faults), skipped)
	if len(faults) > 0 {
		return exitCode(1)
	}
	return nil
}

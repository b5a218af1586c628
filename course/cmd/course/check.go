package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/chapter"
	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/matrix"
)

type checkOptions struct {
	update bool
	jobs   int
}

func newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use: "check [STAGE|SLUG...]", Short: "Prove every exercise: solution, stub, skeleton, neighbours and mistakes",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), cmd.OutOrStdout(), args, o)
		},
	}
	cmd.Flags().BoolVar(&o.update, "update", false, "write the mistakes' golden texts")
	cmd.Flags().IntVar(&o.jobs, "jobs", 2, "how many compilations side by side")
	return cmd
}

// subject is what to prove: a stage, or one exercise of it.
type subject struct{ stage, slug string }

func subjects(root string, args []string) ([]subject, error) {
	var all []subject
	if len(args) == 0 {
		stages, err := exercise.Stages(root)
		for _, s := range stages {
			all = append(all, subject{stage: s})
		}
		return all, err
	}
	for _, a := range args {
		if strings.Contains(a, ".") {
			course, err := exercise.Course(root)
			if err != nil {
				return nil, err
			}
			e, err := exercise.Named(course, a)
			if err != nil {
				return nil, err
			}
			all = append(all, subject{e.Stage, e.Slug})
			continue
		}
		stages, err := chosen(root, []string{a})
		if err != nil {
			return nil, err
		}
		all = append(all, subject{stage: stages[0]})
	}
	return all, nil
}

func runCheck(ctx context.Context, out io.Writer, args []string, o checkOptions) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	list, err := subjects(root, args)
	if err != nil {
		return err
	}
	start := time.Now()
	faults := 0
	checks, skipped, exercises, mistakes, golden := 0, 0, 0, 0, 0
	for _, s := range list {
		m := matrix.Matrix{Root: root, Stage: s.stage, Only: s.slug, Update: o.update, Jobs: o.jobs, Out: out}
		if m.Exercises, err = exercise.Load(root, s.stage); err != nil {
			return err
		}
		if err := m.Prove(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.stage, err)
		}
		faults += len(m.Faults)
		checks, skipped, golden = checks+m.Checks, skipped+m.Skipped, golden+m.Golden
		for _, e := range m.Exercises {
			if s.slug == "" || e.Slug == s.slug {
				exercises, mistakes = exercises+1, mistakes+len(e.Mistakes)
			}
		}
	}
	if len(args) == 0 {
		stale, err := chapter.Stale(root)
		if err != nil {
			return err
		}
		checks++
		for _, s := range stale {
			faults++
			fmt.Fprintf(out, "FAIL %s is not what `course docs` makes of it\n", s)
		}
	}
	fmt.Fprintf(out, "%d exercises, %d mistakes, %d golden texts, %.0f seconds; %d not verifiable here\n", exercises, mistakes, golden, time.Since(start).Seconds(), skipped)
	fmt.Fprintf(out, "course: %d passed, %d failed, %d skipped\n", max(0, checks-faults-skipped), faults, skipped)
	if faults > 0 {
		return exitCode(1)
	}
	return nil
}

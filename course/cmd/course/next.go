package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/verdict"
)

func newNext() *cobra.Command {
	return &cobra.Command{
		Use: "next", Short: "Say which exercise is next, where it is, and how long it takes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := checkout()
			if err != nil {
				return err
			}
			return printNext(cmd.OutOrStdout(), root, "")
		},
	}
}

// next is the first exercise that is not done and whose needs are; preferably
// in a stage that the learner has begun. ok is false when all are done.
func next(root string, all []exercise.Exercise, notes progress.Notes, stage string) (e exercise.Exercise, ok bool) {
	open := slices.DeleteFunc(slices.Clone(all), func(e exercise.Exercise) bool {
		s := notes.Of(e.Slug)
		return s == verdict.Done || s == verdict.Unverifiable || (stage != "" && e.Stage != stage)
	})
	ready := func(e exercise.Exercise) bool {
		return !slices.ContainsFunc(e.Needs, func(n string) bool { return notes.Of(n) != verdict.Done })
	}
	for _, good := range []func(exercise.Exercise) bool{
		func(e exercise.Exercise) bool { return learner.Chosen(root, e.Stage) == learner.Mine && ready(e) },
		ready,
		func(exercise.Exercise) bool { return true },
	} {
		if i := slices.IndexFunc(open, good); i >= 0 {
			return open[i], true
		}
	}
	return exercise.Exercise{}, false
}

func printNext(out io.Writer, root, stage string) error {
	all, err := exercise.Course(root)
	if err != nil {
		return err
	}
	notes, err := progress.Load(root)
	if err != nil {
		return err
	}
	e, ok := next(root, all, notes, stage)
	if !ok && stage != "" {
		e, ok = next(root, all, notes, "")
	}
	if !ok {
		fmt.Fprintln(out, "Every exercise is done. `make stage-7 demo` runs the engine; "+tool+" use mine puts it on your own parts.")
		return nil
	}
	fmt.Fprintf(out, "next   %s   %q\n", e.Slug, e.Title)
	if p, err := learner.Find(root, e); err == nil {
		rel, err := filepath.Rel(root, p.Path)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "where  %s:%d\n", rel, p.Line)
	} else {
		fmt.Fprintf(out, "where  %s (%v)\n", e.File, err)
	}
	fmt.Fprintf(out, "time   %d minutes\n", e.Minutes)
	if len(e.Needs) > 0 {
		fmt.Fprintf(out, "needs  %s\n", strings.Join(e.Needs, ", "))
	}
	fmt.Fprintf(out, "read   %s\nhint   %s hint %s\n", e.Docs, tool, e.Slug)
	return nil
}

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/progress"
)

func newHint() *cobra.Command {
	rung := 0
	cmd := &cobra.Command{
		Use: "hint [SLUG]", Short: "Print a hint: each call climbs one rung of four", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runHint(cmd.OutOrStdout(), args, rung) },
	}
	cmd.Flags().IntVar(&rung, "rung", 0, "1 a question, 2 where to look, 3 the mechanism, 4 nearly the code")
	return cmd
}

func runHint(out io.Writer, args []string, rung int) error {
	root, e, err := asked(args)
	if err != nil {
		return err
	}
	notes, err := progress.Load(root)
	if err != nil {
		return err
	}
	note := notes[e.Slug]
	if rung == 0 {
		rung = min(note.Hints+1, len(e.Hints))
	}
	if rung < 1 || rung > len(e.Hints) {
		return fmt.Errorf("%s has hints 1 to %d, not %d", e.Slug, len(e.Hints), rung)
	}
	fmt.Fprintf(out, "%s, hint %d of %d\n%s\n", e.Slug, rung, len(e.Hints), e.Hints[rung-1])
	if rung == len(e.Hints) {
		fmt.Fprintf(out, "\nThat was the last. %s peek %s shows what the reference does differently.\n", tool, e.Slug)
	}
	note.Hints = max(note.Hints, rung)
	notes[e.Slug] = note
	return notes.Save(root)
}

// asked is the exercise of the argument, or the next one.
func asked(args []string) (root string, e exercise.Exercise, err error) {
	if root, err = checkout(); err != nil {
		return root, e, err
	}
	all, err := exercise.Course(root)
	if err != nil {
		return root, e, err
	}
	if len(args) == 1 {
		e, err = exercise.Named(all, args[0])
		return root, e, err
	}
	notes, err := progress.Load(root)
	if err != nil {
		return root, e, err
	}
	e, ok := next(root, all, notes, "")
	if !ok {
		return root, e, fmt.Errorf("every exercise is done: name the one you mean")
	}
	return root, e, nil
}

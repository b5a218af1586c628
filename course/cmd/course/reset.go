package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
)

func newReset() *cobra.Command {
	whole := false
	cmd := &cobra.Command{
		Use: "reset SLUG", Short: "Put the stub back into one exercise; the rest of the file stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runReset(cmd.OutOrStdout(), args, whole) },
	}
	cmd.Flags().BoolVar(&whole, "file", false, "give the exercise's whole file anew, when it or its marks are gone")
	return cmd
}

func runReset(out io.Writer, args []string, whole bool) error {
	root, e, err := asked(args)
	if err != nil {
		return err
	}
	if whole {
		kept, err := learner.ResetFile(root, e)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("learn/%s/%s is as it was at the start", e.Stage, e.File)
		if kept == "" {
			fmt.Fprintln(out, what)
			return nil
		}
		return sayKept(out, root, what, kept)
	}
	kept, err := learner.Reset(root, e)
	if err != nil {
		return err
	}
	if kept == "" {
		fmt.Fprintf(out, "%s is as it was at the start\n", e.Slug)
		return nil
	}
	return sayKept(out, root, e.Slug+" is a stub again", kept)
}

func sayKept(out io.Writer, root, what, kept string) error {
	rel, err := filepath.Rel(root, kept)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s; the file as it was is kept in %s\n", what, rel)
	return nil
}

func newGoto() *cobra.Command {
	return &cobra.Command{
		Use: "goto SLUG", Short: "Go to an exercise: all before it solved, it and all later ones stubs", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runGoto(cmd.OutOrStdout(), args) },
	}
}

// runGoto starts the stage if need be, and changes regions only.
func runGoto(out io.Writer, args []string) error {
	root, e, err := asked(args)
	if err != nil {
		return err
	}
	if _, err := learner.Start(root, e.Stage); err != nil {
		return err
	}
	list, err := exercise.Load(root, e.Stage)
	if err != nil {
		return err
	}
	put, what := learner.Solve, "the reference's"
	var solved []string
	for _, o := range exercise.InOrder(list) {
		if o.Slug == e.Slug {
			put, what = learner.Reset, "a stub"
		}
		kept, err := put(root, o)
		if err != nil {
			return err
		}
		if kept == "" {
			continue
		}
		if what != "a stub" {
			solved = append(solved, o.Slug)
		}
		if err := sayKept(out, root, o.Slug+" is "+what, kept); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "You are at %s. make stage-%s test\n", e.Slug, e.Stage[1:2])
	return progress.Update(root, func(n progress.Notes) {
		for _, slug := range solved {
			note := n[slug]
			note.Peeked = true
			n[slug] = note
		}
	})
}

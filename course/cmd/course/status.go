package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
)

func newStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the exercises of every stage", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.OutOrStdout()) },
	}
}

func runStatus(out io.Writer) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := exercise.Stages(root)
	if err != nil {
		return err
	}
	for _, s := range stages {
		list, err := exercise.Load(root, s)
		if err != nil {
			return err
		}
		whose := "reference"
		if _, mine := copied(root, s); mine {
			whose = "yours"
		}
		fmt.Fprintf(out, "%s  (%s)\n", s, whose)
		for _, e := range list {
			fmt.Fprintf(out, "  %-26s %3d min  %s\n", e.Slug, e.Minutes, e.Title)
		}
	}
	return nil
}

func newHint() *cobra.Command {
	rung := 0
	cmd := &cobra.Command{
		Use: "hint SLUG", Short: "Print the hints of an exercise, one rung of four at a time", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runHint(cmd.OutOrStdout(), args[0], rung) },
	}
	cmd.Flags().IntVar(&rung, "rung", 1, "1 a question, 2 where to look, 3 the mechanism, 4 nearly the code")
	return cmd
}

func runHint(out io.Writer, slug string, rung int) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := exercise.Stages(root)
	if err != nil {
		return err
	}
	var known []string
	for _, s := range stages {
		list, err := exercise.Load(root, s)
		if err != nil {
			return err
		}
		for _, e := range list {
			known = append(known, e.Slug)
			if e.Slug != slug {
				continue
			}
			if rung < 1 || rung > len(e.Hints) {
				return fmt.Errorf("%s has hints 1 to %d, not %d", slug, len(e.Hints), rung)
			}
			fmt.Fprintf(out, "%s, hint %d of %d\n%s\n", slug, rung, len(e.Hints), e.Hints[rung-1])
			return nil
		}
	}
	return fmt.Errorf("no exercise %s: there are %s", slug, strings.Join(known, ", "))
}

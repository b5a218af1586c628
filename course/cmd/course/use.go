package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
)

func newUse() *cobra.Command {
	return &cobra.Command{
		Use: "use mine|reference STAGE", Short: "Choose which source of a stage the others are built on", Args: cobra.ExactArgs(2),
		ValidArgs: []string{string(learner.Mine), string(learner.Reference)},
		RunE:      func(cmd *cobra.Command, args []string) error { return runUse(cmd.OutOrStdout(), args[0], args[1]) },
	}
}

func runUse(out io.Writer, choice, name string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	if c := learner.Choice(choice); c != learner.Mine && c != learner.Reference {
		return fmt.Errorf("%q: choose mine or reference", choice)
	}
	stages, err := chosen(root, []string{name})
	if err != nil {
		return err
	}
	if err := learner.Use(root, stages[0], learner.Choice(choice)); err != nil {
		return err
	}
	all, err := exercise.Stages(root)
	if err != nil {
		return err
	}
	for _, s := range all {
		fmt.Fprintf(out, "  %-14s %s\n", s, learner.Chosen(root, s))
	}
	fmt.Fprintln(out, "GOWORK=learn/go.work builds with these.")
	return nil
}

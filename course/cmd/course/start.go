package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
)

func newStart() *cobra.Command {
	return &cobra.Command{
		Use: "start STAGE", Short: "Give the learner a copy of a stage, below learn/, with its exercises cut out",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runStart(cmd.OutOrStdout(), args[0]) },
	}
}

func runStart(out io.Writer, name string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := chosen(root, []string{name})
	if err != nil {
		return err
	}
	stage := stages[0]
	list, err := exercise.Load(root, stage)
	if err != nil {
		return err
	}
	fresh, err := learner.Start(root, stage)
	if err != nil {
		return err
	}
	if !fresh {
		fmt.Fprintf(out, "learn/%s is there already; your work in it stays as it is.\n", stage)
	} else {
		minutes := 0
		for _, e := range list {
			minutes += e.Minutes
		}
		fmt.Fprintf(out, "learn/%s is yours: %d exercises are cut out of it, about %d minutes of work.\n", stage, len(list), minutes)
	}
	if err := printNext(out, root, stage); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmake stage-%s test    tells how far you are\n", stage[1:2])
	return nil
}

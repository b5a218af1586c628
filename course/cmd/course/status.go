package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/screen"
	"github.com/slipway-engine/slipway/course/verdict"
)

func newStatus() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: "Draw a map of the course and how far you are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.OutOrStdout(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// stageStatus is one stage on the map.
type stageStatus struct {
	Stage     string           `json:"stage"`
	Source    learner.Choice   `json:"source"` // what is built: mine or the reference
	Started   bool             `json:"started"`
	Exercises []exerciseStatus `json:"exercises"`
}

type exerciseStatus struct {
	Slug    string `json:"slug"`
	Title   string `json:"title"`
	File    string `json:"file"`
	Minutes int    `json:"minutes"`
	progress.Entry
}

func runStatus(out io.Writer, asJSON bool) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := standing(root)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(stages)
	}
	drawMap(screen.New(out), stages)
	return nil
}

// standing joins the exercises with the learner's notes.
func standing(root string) ([]stageStatus, error) {
	names, err := exercise.Stages(root)
	if err != nil {
		return nil, err
	}
	notes, err := progress.Load(root)
	if err != nil {
		return nil, err
	}
	var stages []stageStatus
	for _, name := range names {
		list, err := exercise.Load(root, name)
		if err != nil {
			return nil, err
		}
		s := stageStatus{Stage: name, Source: learner.Chosen(root, name), Exercises: []exerciseStatus{}}
		_, s.Started = learner.Dir(root, name)
		for _, e := range exercise.InOrder(list) {
			note := notes[e.Slug]
			note.State = notes.Of(e.Slug)
			s.Exercises = append(s.Exercises, exerciseStatus{e.Slug, e.Title, e.File, e.Minutes, note})
		}
		stages = append(stages, s)
	}
	return stages, nil
}

// drawMap shows a bar for each stage, and the exercises of those begun.
func drawMap(s screen.Screen, stages []stageStatus) {
	var all []verdict.State
	left := 0
	for _, st := range stages {
		all = append(all, states(st)...)
		left += minutesLeft(st)
	}
	fmt.Fprintf(s, "\n  %s  %s\n\n", s.In(screen.Bold, screen.Fit("your way to a container engine", 40)), tally(all, left))
	for _, st := range stages {
		name := screen.Fit(st.Stage[1:2]+" "+st.Stage[3:], 14)
		source := ""
		if st.Started {
			source = string(st.Source)
		}
		fmt.Fprintf(s, "  %s %s  %s %s\n", s.In(screen.Bold, name), s.Bar(states(st), 26), tally(states(st), minutesLeft(st)), s.In(screen.Dim, source))
		if st.Started {
			drawExercises(s, st)
		}
	}
	fmt.Fprintf(s, "\n  %s done   %s not yet right   %s not started   %s\n\n", s.Sign(verdict.Done), s.Sign(verdict.NotYetRight),
		s.Sign(verdict.NotStarted), s.In(screen.Dim, tool+" next | hint | why CODE"))
}

func drawExercises(s screen.Screen, st stageStatus) {
	for _, e := range st.Exercises {
		note := ""
		switch {
		case e.Code != "" && e.State != verdict.Done:
			note = e.Code
		case e.Peeked:
			note = "peeked"
		case e.Hints > 0:
			note = fmt.Sprintf("hint %d", e.Hints)
		}
		title := shorten(e.Title, screen.Width-27-1-len(note))
		fmt.Fprintf(s, "    %s %s %s %s\n", s.Sign(e.State), screen.Fit(e.Slug, 20), title, s.In(screen.Dim, note))
	}
	fmt.Fprintln(s)
}

func states(st stageStatus) []verdict.State {
	var all []verdict.State
	for _, e := range st.Exercises {
		all = append(all, e.State)
	}
	return all
}

func minutesLeft(st stageStatus) int {
	n := 0
	for _, e := range st.Exercises {
		if e.State != verdict.Done {
			n += e.Minutes
		}
	}
	return n
}

func tally(all []verdict.State, left int) string {
	done := 0
	for _, s := range all {
		if s == verdict.Done {
			done++
		}
	}
	text := fmt.Sprintf("%2d of %2d", done, len(all))
	if left > 0 {
		text += ", " + screen.Minutes(left) + " to go"
	}
	return screen.Fit(text, 24)
}

package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/01-namespaces/timeline"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

const explainLong = `The list is the one that create and run perform; run --step stops at its numbers and names.

   --json prints an array with an object for each step: "number" (from 1), "side" ("parent" or "child"), "step", "because", and, where
   they are true, "clone" (it makes the child), "returns" (create returns behind it), "late" (it waits for start), "undo" (a later
   failure undoes it).`

func newExplain(g *global) *cobra.Command {
	asJSON, asSVG := false, false
	cmd := &cobra.Command{
		Use: "explain [BUNDLE]", Short: "list the steps that create would perform, with reasons; performs none, needs no root (--rootless=true: what it would do for this user)",
		Long: explainLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 0, 1); err != nil {
				return err
			}
			bundle := "."
			if len(args) == 1 {
				bundle = args[0]
			}
			return runExplain(cmd.OutOrStdout(), g, bundle, asJSON, asSVG)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asSVG, "svg", false, "draw the steps as two lines of time, the runtime's and the child's: an SVG picture")
	cmd.MarkFlagsMutuallyExclusive("json", "svg")
	return cmd
}

func runExplain(w io.Writer, g *global, bundle string, asJSON, asSVG bool) error {
	bundle, err := filepath.Abs(bundle)
	if err != nil {
		return err
	}
	s, err := spec.Load(bundle)
	if err != nil {
		return err
	}
	rt, err := g.runtime()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 && g.rootless != "true" {
		rt.ForRoot()
	}
	facts, _, err := rt.Facts(s.Spec, filepath.Base(bundle))
	if err != nil {
		return err
	}
	p, err := plan.Compile(s.Spec, facts, plan.Request{ID: filepath.Base(bundle), ConsoleSocket: s.Process.Terminal}, plan.Acts{})
	if err != nil {
		return err
	}
	for _, text := range append(s.Warnings, p.Warnings...) {
		g.out.warn(text)
	}
	if asSVG {
		return timeline.Draw(w, "the birth of "+filepath.Base(bundle), p.Steps)
	}
	if !asJSON {
		return p.Explain(w)
	}
	return printJSON(w, explained(p))
}

// explainedStep is a line of explain --json. The names stay; more may be added.
type explainedStep struct {
	Number  int    `json:"number"`            // as explain and --step count: from 1
	Side    string `json:"side"`              // "parent": a Go function of the runtime; "child": raw system calls of the new process
	Step    string `json:"step"`              // what is done to what
	Because string `json:"because"`           // why, with its source
	Clone   bool   `json:"clone,omitempty"`   // this step makes the child
	Returns bool   `json:"returns,omitempty"` // create returns behind it
	Late    bool   `json:"late,omitempty"`    // it waits for start
	Undo    bool   `json:"undo,omitempty"`    // when a later step fails, what it did is undone
}

func explained(p *plan.Plan) []explainedStep {
	steps := make([]explainedStep, 0, len(p.Steps))
	for i, s := range p.Steps {
		steps = append(steps, explainedStep{
			Number: i + 1, Side: s.Side.String(), Step: s.Name, Because: s.Because,
			Clone: s.Clone != nil, Returns: s.Returns, Late: p.Gate > 0 && i >= p.Gate, Undo: s.Undo != nil,
		})
	}
	return steps
}

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

func newExplain(g *global) *cobra.Command {
	asJSON, asSVG := false, false
	cmd := &cobra.Command{
		Use: "explain [BUNDLE]", Short: "list the steps that create would perform, with reasons; performs none, needs no root (--rootless=true: what it would do for this user)",
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
	type line struct {
		Number  int    `json:"number"`
		Side    string `json:"side"`
		Step    string `json:"step"`
		Because string `json:"because"`
	}
	lines := make([]line, 0, len(p.Steps))
	for i, s := range p.Steps {
		lines = append(lines, line{i + 1, s.Side.String(), s.Name, s.Because})
	}
	return printJSON(w, lines)
}

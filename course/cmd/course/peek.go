package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/screen"
)

func newPeek() *cobra.Command {
	return &cobra.Command{
		Use: "peek SLUG", Short: "Show the difference between your lines and the reference's", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPeek(screen.New(cmd.OutOrStdout()), args) },
	}
}

func runPeek(out screen.Screen, args []string) error {
	root, e, err := asked(args)
	if err != nil {
		return err
	}
	p, err := learner.Find(root, e)
	if err != nil {
		return err
	}
	solution, err := p.Solution(e.Slug)
	if err != nil {
		return err
	}
	if solution == p.Body {
		fmt.Fprintf(out, "%s: your lines are the reference's\n", e.Slug)
		return nil
	}
	fmt.Fprintf(out, "%s   - yours   + the reference   (there are many right answers; the test decides)\n", e.Slug)
	for _, l := range difference(strings.Split(p.Body, "\n"), strings.Split(solution, "\n")) {
		style := map[byte]screen.Style{'-': screen.Red, '+': screen.Green}[l[0]]
		if style != "" {
			l = out.In(style, l)
		}
		fmt.Fprintln(out, l)
	}
	return progress.Update(root, func(n progress.Notes) {
		note := n[e.Slug]
		note.Peeked = true
		n[e.Slug] = note
	})
}

// difference is the shortest edit from a to b, each line behind "-", "+" or " "
// (by the longest common subsequence; regions are short).
func difference(a, b []string) []string {
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return out
}

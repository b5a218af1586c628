package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/screen"
	"github.com/slipway-engine/slipway/course/verdict"
)

// testCopy tests a learner's copy, exercise by exercise in their order, notes
// the states, and explains the first that is not right, or, if there is none, the
// first that is not begun. In a virtual machine all are tried before one is told of.
func testCopy(ctx context.Context, out screen.Screen, root, stage string, vm bool) (err error) {
	list, err := exercise.Load(root, stage)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: your copy in learn/%s%s\n\n", stage, stage, map[bool]string{true: ", in a virtual machine with pure cgroup v2"}[vm])
	try, end, err := trier(ctx, root, stage, list, vm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	var all []verdict.State
	var first *exercise.Exercise
	var explain verdict.Verdict
	for _, e := range exercise.InOrder(list) {
		v, err := try(e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Slug, err)
		}
		if v.State != verdict.Untried {
			if err := note(root, e, v); err != nil {
				return err
			}
		}
		all = append(all, v.State)
		fmt.Fprintf(out, "  %s %s  %s %s\n", out.Sign(v.State), screen.Fit(words(v), 13), screen.Fit(e.Slug, 20), shorten(e.Title, screen.Width-40))
		if urgency(v.State) > urgency(explain.State) {
			first, explain = new(e), v
		}
	}
	fmt.Fprintf(out, "\n%s\n", count(all))
	if first == nil {
		fmt.Fprintln(out)
		return printNext(out, root, stage)
	}
	fmt.Fprintln(out)
	explainVerdict(out, root, *first, explain)
	fmt.Fprintf(out, "\nthen   make stage-%s test%s\n", stage[1:2], map[bool]string{true: " VM=1"}[vm])
	return exitCode(1)
}

// urgency orders what a learner is told of: a wrong answer before what is not begun, and nothing of what is right or cannot be tried.
func urgency(s verdict.State) int {
	switch s {
	case "", verdict.Done, verdict.Unverifiable, verdict.Untried:
		return 0
	case verdict.NotStarted:
		return 1
	}
	return 2
}

// trier gives what tries one exercise, and what clears up after all.
func trier(ctx context.Context, root, stage string, list []exercise.Exercise, vm bool) (try func(exercise.Exercise) (verdict.Verdict, error), end func() error, err error) {
	if !vm {
		t, err := learner.NewTrial(ctx, root, stage, "")
		if err != nil {
			return nil, nil, err
		}
		return func(e exercise.Exercise) (verdict.Verdict, error) { return t.Try(ctx, e) }, t.Close, nil
	}
	dir, err := learner.MachineDir(root)
	if err != nil {
		return nil, nil, err
	}
	t, err := learner.NewTrial(ctx, root, stage, dir)
	if err != nil {
		return nil, nil, err
	}
	all, err := t.TryInVM(ctx, list, os.Stderr)
	if err != nil {
		return nil, nil, errors.Join(err, t.Close())
	}
	return func(e exercise.Exercise) (verdict.Verdict, error) {
		v, tried := all[e.Slug]
		if !tried {
			return v, errors.New("the virtual machine did not come to it")
		}
		return v, nil
	}, t.Close, nil
}

func shorten(text string, columns int) string {
	return strings.TrimRight(screen.Fit(text, columns), " ")
}

// words is a state as it is shown to a learner, who knows three and "not here".
func words(v verdict.Verdict) string {
	switch v.State {
	case verdict.Broken:
		return string(verdict.NotYetRight)
	case verdict.Unverifiable:
		return "NOT HERE"
	}
	return string(v.State)
}

func note(root string, e exercise.Exercise, v verdict.Verdict) error {
	return progress.Update(root, func(n progress.Notes) { n.Tested(e.Slug, v, time.Now()) })
}

// explainVerdict tells what is wrong and the exact next command.
func explainVerdict(out screen.Screen, root string, e exercise.Exercise, v verdict.Verdict) {
	switch v.State {
	case verdict.NotStarted:
		slug := e.Slug
		if v.Slug != "" {
			slug = v.Slug
		}
		fmt.Fprintf(out, "NOT STARTED  %s   %q\n", slug, e.Title)
		fmt.Fprintf(out, "  This is where you begin: replace the stub in\n  %s (%d minutes)\n", where(root, e), e.Minutes)
		fmt.Fprintf(out, "  read   %s\n\nhint   %s hint %s\n", e.Docs, tool, slug)
	case verdict.NotYetRight:
		fmt.Fprintln(out, strings.TrimRight(cleaned(v.Text), "\n"))
		if v.Code == "COMPILE" {
			return
		}
		fmt.Fprintf(out, "\nmore   %[1]s why %[2]s\nhint   %[1]s hint %[3]s\n", tool, v.Code, e.Slug)
	default: // it broke in a way that nobody foresaw: all there is, unedited
		fmt.Fprintf(out, "NOT YET RIGHT  %s   %q\n%s\nhint   %s hint %s\n", e.Slug, e.Title, v.Text, tool, e.Slug)
	}
}

// where is the first line to replace.
func where(root string, e exercise.Exercise) string {
	file := fmt.Sprintf("learn/%s/%s", e.Stage, e.File)
	if p, err := learner.Find(root, e); err == nil {
		file += fmt.Sprintf(":%d", p.Line)
	}
	return file
}

// cleaned is a diagnosis without the words of the test runner behind it.
func cleaned(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "exit status ") || strings.HasPrefix(line, "=== ") {
			continue
		}
		b.WriteString(strings.TrimPrefix(line, "        ")) // testing indents what t.Fatal says
	}
	return b.String()
}

func count(all []verdict.State) string {
	n := map[verdict.State]int{}
	for _, s := range all {
		n[s]++
	}
	text := fmt.Sprintf("%d done · %d not yet right · %d not started", n[verdict.Done], n[verdict.NotYetRight]+n[verdict.Broken], n[verdict.NotStarted])
	if untried := n[verdict.Untried]; untried > 0 {
		text += fmt.Sprintf(" · %d not tried", untried)
	}
	if here := n[verdict.Unverifiable]; here > 0 {
		text += fmt.Sprintf(" · %d NOT VERIFIABLE HERE (make doctor says why; VM=1 helps)", here)
	}
	return text
}

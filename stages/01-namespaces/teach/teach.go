// Package teach is how a test of an exercise fails: with what the kernel shows,
// what it should show, why, and where to go next; never with the solution.
package teach

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/todo"
)

// Diagnosis is one explanation, in the order in which it is read.
type Diagnosis struct {
	Exercise string // slug
	Title    string // what is being built, as a sentence
	Code     string // stable: "NS-MNT-1"; `course why CODE` has the long form
	Did      string // what the test did, so that it can be done by hand
	Saw      string // what the kernel shows now
	Want     string // what it should show
	Means    string // the likely cause, with the evidence that points to it
	Try      string // one next command
	Read     string // where to read
}

const (
	width    = 80
	maxLines = 25
)

// String is the whole message, at most 25 lines of 80 columns.
func (d Diagnosis) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "NOT YET RIGHT  %s  %q  [%s]\n", d.Exercise, d.Title, d.Code)
	for _, part := range []struct{ name, text string }{
		{"did", d.Did}, {"saw", d.Saw}, {"want", d.Want}, {"means", d.Means}, {"try", d.Try}, {"read", d.Read},
	} {
		if part.text == "" {
			continue
		}
		for i, line := range wrap(part.text, width-11) {
			if i > 0 {
				part.name = ""
			}
			fmt.Fprintf(&b, "  %-7s  %s\n", part.name, line)
		}
	}
	lines := strings.SplitAfter(b.String(), "\n")
	return strings.Join(lines[:min(len(lines), maxLines)], "")
}

// Fail ends the test with the diagnosis.
func Fail(t testing.TB, d Diagnosis) {
	t.Helper()
	t.Fatalf("\n%s", d)
}

// Begun ends the test when err says that the exercise's stub is still in place;
// the words are what `make stage-N test` reads as the state NOT STARTED.
func Begun(t testing.TB, err error) {
	t.Helper()
	if slug, stub := todo.Of(err); stub {
		t.Fatalf("\nNOT STARTED    %s   this is where you begin: replace the stub", slug)
	}
}

// BegunAny is Begun for what may be joined errors.
func BegunAny(t testing.TB, errs ...error) {
	t.Helper()
	Begun(t, errors.Join(errs...))
}

// wrap breaks text at blanks; its own line breaks stay.
func wrap(text string, cols int) []string {
	var lines []string
	for para := range strings.SplitSeq(text, "\n") {
		line := ""
		for _, word := range strings.Fields(para) {
			if line != "" && len(line)+1+len(word) > cols {
				lines = append(lines, line)
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

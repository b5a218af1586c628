// Package verdict reads what a test says of an exercise.
package verdict

import (
	"regexp"
	"strings"

	"github.com/slipway-engine/slipway/course/gotest"
)

// State is how far an exercise is.
type State string

const (
	NotStarted   State = "NOT STARTED"
	NotYetRight  State = "NOT YET RIGHT"
	Done         State = "DONE"
	Unverifiable State = "NOT VERIFIABLE HERE" // this machine lacks what the test needs
	Untried      State = "NOT TRIED"           // another exercise keeps the package from compiling
	Broken       State = "BROKEN"              // it failed without the words of a diagnosis
)

// Verdict is a state with its evidence.
type Verdict struct {
	State State
	Slug  string // of the exercise that the test names
	Code  string // of the diagnosis
	Text  string
}

var (
	notStarted = regexp.MustCompile(`NOT STARTED\s+(\S+)`)
	notRight   = regexp.MustCompile(`(?s)NOT YET RIGHT\s+(\S+)[^\n]*\[(\S+)\].*`)
)

// Read takes the verdict out of a test's result.
func Read(r gotest.Result) Verdict {
	if m := notStarted.FindStringSubmatch(r.Output); m != nil {
		return Verdict{State: NotStarted, Slug: m[1], Text: m[0]}
	}
	if m := notRight.FindStringSubmatch(r.Output); m != nil {
		return Verdict{State: NotYetRight, Slug: m[1], Code: m[2], Text: m[0]}
	}
	switch {
	case r.Failed > 0:
		return Verdict{State: Broken, Text: r.Output}
	case r.Passed > 0:
		return Verdict{State: Done}
	case r.Skipped > 0:
		return Verdict{State: Unverifiable, Text: strings.Join(r.Skips, "\n")}
	}
	return Verdict{State: Broken, Text: r.Output + "no test ran"}
}

package launch

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Trace is what each step of one launch took, from the clocks of both sides.
type Trace struct {
	Steps []TraceStep
	page  *sharedPage // where the child goes on to tell its times, until Finish
}

// Finish adds the steps that the child has performed since Start returned, behind one that is marked Returns: without it they
// have no times. Call it when they are over; it does nothing for a plan without such a step.
func (t *Trace) Finish() error {
	if t == nil || t.page == nil {
		return nil
	}
	t.end(t.page)
	page := t.page
	t.page = nil
	return page.close()
}

// keep takes the page over when there is more to come.
func (t *Trace) keep(s *sharedPage) bool {
	if t == nil || !slices.ContainsFunc(t.Steps, func(s TraceStep) bool { return s.Returns }) {
		return false
	}
	t.page = s
	return true
}

// TraceStep is a step with when it began (wall clock: the monotonic one can be
// shifted inside a time namespace) and how long it took until the next began.
type TraceStep struct {
	Step
	Began time.Time
	Took  time.Duration
}

func (t *Trace) begin(p *Plan) {
	if t == nil {
		return
	}
	t.Steps = make([]TraceStep, len(p.Steps))
	for n, s := range p.Steps {
		t.Steps[n].Step = s
	}
}

func (t *Trace) started(n int) {
	if t != nil {
		t.Steps[n].Began = time.Now()
	}
}

func (t *Trace) end(s *sharedPage) {
	if t == nil {
		return
	}
	next := time.Now()
	for n := len(t.Steps) - 1; n >= 0; n-- {
		if t.Steps[n].Side == Child {
			t.Steps[n].Began = s.began(n)
		}
		if t.Steps[n].Began.IsZero() { // not yet performed, or behind one that is Silent
			continue
		}
		t.Steps[n].Took = next.Sub(t.Steps[n].Began)
		next = t.Steps[n].Began
	}
}

// Print writes the steps with what they took, longest bars for the dearest.
func (t *Trace) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, " #\tside\ttook\tstep")
	var total, dearest int64
	for _, s := range t.Steps {
		total += int64(s.Took)
		dearest = max(dearest, int64(s.Took))
	}
	for n, s := range t.Steps {
		bar := ""
		if dearest > 0 {
			bar = strings.Repeat("▪", int(int64(s.Took)*20/dearest))
		}
		took := "-"
		if !s.Began.IsZero() {
			took = fmt.Sprintf("%d µs", s.Took.Microseconds())
		}
		fmt.Fprintf(tw, "%2d\t%s\t%s\t%s  %s\n", n+1, s.Side, took, s.Name, bar)
	}
	fmt.Fprintf(tw, "\t\t%d µs\tin all\n", total/1000)
	return tw.Flush()
}

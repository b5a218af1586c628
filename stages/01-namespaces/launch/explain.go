package launch

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Explain prints the list, one line a step, without performing anything.
func (p *Plan) Explain(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, " #\tside\tstep\tbecause")
	for n, s := range p.Steps {
		fmt.Fprintf(tw, "%2d\t%s\t%s\t%s\n", n+1, s.Side, s.Name, s.Because)
	}
	return tw.Flush()
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
		fmt.Fprintf(tw, "%2d\t%s\t%d µs\t%s  %s\n", n+1, s.Side, s.Took.Microseconds(), s.Name, bar)
	}
	fmt.Fprintf(tw, "\t\t%d µs\tin all\n", total/1000)
	return tw.Flush()
}

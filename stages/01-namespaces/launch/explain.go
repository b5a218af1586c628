package launch

import (
	"fmt"
	"io"
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

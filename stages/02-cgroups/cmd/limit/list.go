package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
)

func newList(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [GROUP]",
		Short: "List a group and those below it",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := parent
			if len(args) > 0 {
				name = args[0]
			}
			g, err := find(name)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "GROUP\tPROCESSES\tMEMORY\tLIMIT")
			if err := list(w, g); err != nil {
				return err
			}
			return w.Flush()
		},
	}
}

// list passes over what goes away meanwhile.
func list(w io.Writer, g *cgroup.Group) error {
	pids, err := g.Pids()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := g.Stats()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", g.Path(), len(pids), formatBytes(s.Memory.Usage), formatBytes(s.Memory.Limit))
	below, err := g.Children()
	if err != nil {
		return err
	}
	for _, c := range below {
		if err := list(w, c); err != nil {
			return err
		}
	}
	return nil
}

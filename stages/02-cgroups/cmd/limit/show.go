package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
)

func newShow(t terminal) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show [--json] GROUP",
		Short: "Show what a group uses of its budget",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := look(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(t.out)
				e.SetIndent("", "  ")
				return e.Encode(v)
			}
			return v.print(t.out)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "all of it: sizes in bytes, times in nanoseconds, 18446744073709551615 for no limit")
	return cmd
}

// view is one look at a group.
type view struct {
	Path   string        `json:"path"`
	Mode   string        `json:"mode"`
	Frozen bool          `json:"frozen"`
	Pids   []int         `json:"pids"` // those in groups below as well
	Stats  *cgroup.Stats `json:"stats"`
}

func look(name string) (*view, error) {
	g, err := existing(name)
	if err != nil {
		return nil, err
	}
	v := &view{Path: g.Path(), Mode: g.Layout().Mode().String()}
	if v.Pids, err = g.AllPids(); err != nil {
		return nil, err
	}
	if v.Frozen, err = g.Frozen(); err != nil && !errors.Is(err, os.ErrNotExist) { // the root has no such state
		return nil, err
	}
	v.Stats, err = g.Stats()
	return v, err
}

func (v *view) print(out io.Writer) error {
	s := v.Stats
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "group\t%s\t(cgroup %s)\n", v.Path, v.Mode)
	fmt.Fprintf(w, "state\t%s\t%s\n", v.state(), count(uint64(len(v.Pids)), "process", "processes"))
	fmt.Fprintf(w, "memory\t%s\tof %s, at most %s so far, %s\n", formatBytes(s.Memory.Usage), formatBytes(s.Memory.Limit),
		formatBytes(s.Memory.Max), count(s.Memory.OOMKills, "OOM kill", "OOM kills"))
	fmt.Fprintf(w, "\t\tanonymous %s, page cache %s, swap %s\n", formatBytes(s.Memory.Anon), formatBytes(s.Memory.Cache), formatBytes(s.Memory.Swap))
	fmt.Fprintf(w, "cpu\t%s\tuser %s, system %s\n", round(s.CPU.Usage), round(s.CPU.User), round(s.CPU.System))
	if s.CPU.Periods > 0 {
		fmt.Fprintf(w, "\t\tthrottled in %d of %d periods, for %s\n", s.CPU.ThrottledPeriods, s.CPU.Periods, round(s.CPU.Throttled))
	}
	fmt.Fprintf(w, "pids\t%d\tof %s\n", s.Pids.Current, formatCount(s.Pids.Limit))
	for _, p := range []struct {
		of     string
		stalls *cgroup.Stalls
	}{{"cpu", s.Pressure.CPU}, {"memory", s.Pressure.Memory}, {"io", s.Pressure.IO}} {
		if p.stalls != nil {
			fmt.Fprintf(w, "%s pressure\t%.2f%%\twaited in the last 10 s, %.2f%% in 60 s, %s in all\n",
				p.of, p.stalls.Some.Avg10, p.stalls.Some.Avg60, round(p.stalls.Some.Total))
		}
	}
	for _, d := range s.IO {
		fmt.Fprintf(w, "io %d:%d\t%s\tread, %s written\n", d.Major, d.Minor, formatBytes(d.ReadBytes), formatBytes(d.WriteBytes))
	}
	return w.Flush()
}

func (v *view) state() string {
	switch {
	case v.Frozen:
		return "frozen"
	case len(v.Pids) == 0:
		return "empty"
	}
	return "running"
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func formatCount(n uint64) string {
	if n == cgroup.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// Command bench compares container runtimes: ours with its peers, row by row, always in turn (A B C A B C ...), so that
// whatever else the machine does meets all of them.
//
//	bench [-n 30] [-rows run-docker,run,...] [-bulk 1000] NAME=PROGRAM...
//
// It runs in the stage's folder (oci.sh takes care of that) and needs root, runc, a static busybox and the programs. It makes its
// bundles itself: Docker's configuration is a recorded one (plan/testdata/docker.json), the default one is what `runc spec` writes.
//
// CPU is what the cgroup of the whole row used: the runtime, the container and what the kernel did for them on their behalf,
// less what this program used itself. "low" is the first quartile: the figure that a busy machine disturbs least.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peer is a runtime under test.
type peer struct{ name, program, root string }

// args are a command line of the peer's.
func (p peer) args(verb ...string) []string {
	return append([]string{p.program, "--root", p.root}, verb...)
}

// row is one line of the comparison. before and after are not measured.
type row struct {
	name                   string
	before, measure, after func(p peer, id string) [][]string
}

func main() {
	n := flag.Int("n", 30, "measured runs of each row and runtime")
	only := flag.String("rows", "", "rows to measure, separated by commas (default all)")
	bulk := flag.Int("bulk", 1000, "containers that row \"many\" starts one after another")
	flag.Parse()
	if err := run(*n, *only, *bulk, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(n int, only string, bulk int, names []string) (err error) {
	dir, err := os.MkdirTemp("/dev/shm", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = first(err, os.RemoveAll(dir)) }()
	meter, err := newMeter()
	if err != nil {
		return err
	}
	defer func() { err = first(err, meter.close()) }()
	b, err := makeBundles(dir, meter.name)
	if err != nil {
		return err
	}
	var peers []peer
	for i, s := range names {
		name, program, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want NAME=PROGRAM, not %q", s)
		}
		if program, err = exec.LookPath(program); err != nil {
			return err
		}
		if program, err = filepath.Abs(program); err != nil {
			return err
		}
		peers = append(peers, peer{name, program, fmt.Sprintf("%s/root%d", dir, i)})
	}
	chosen := func(name string) bool { return only == "" || slices.Contains(strings.Split(only, ","), name) }
	for _, r := range b.rows() {
		if chosen(r.name) {
			if err := r.compare(meter, peers, n); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	if chosen("rss") {
		if err := b.peaks(peers); err != nil {
			return err
		}
	}
	if chosen("many") {
		return b.many(meter, peers, bulk)
	}
	return nil
}

// rows are those of the table in docs/performance.md.
func (b *bundles) rows() []row {
	sleeping := func(p peer, id string) [][]string { return [][]string{p.args("run", "-d", "-b", b.sleep, id)} }
	gone := func(p peer, id string) [][]string { return [][]string{p.args("delete", "-f", id)} }
	return []row{
		{name: "run-docker", measure: func(p peer, id string) [][]string { return [][]string{p.args("run", "-b", b.docker, id)} }},
		{name: "run", measure: func(p peer, id string) [][]string { return [][]string{p.args("run", "-b", b.plain, id)} }},
		{name: "exec", before: sleeping, after: gone, measure: func(p peer, id string) [][]string { return [][]string{p.args("exec", id, "/bin/true")} }},
		{name: "create+start+delete", measure: func(p peer, id string) [][]string {
			return [][]string{p.args("create", "-b", b.plain, id), p.args("start", id), p.args("delete", "-f", id)}
		}},
		{name: "delete-f", before: sleeping, measure: gone},
		{name: "state", before: sleeping, after: gone, measure: func(p peer, id string) [][]string { return [][]string{p.args("state", id)} }},
		{name: "kill", before: sleeping, after: gone, measure: func(p peer, id string) [][]string { return [][]string{p.args("kill", id, "CONT")} }},
	}
}

// compare runs a row n times for each peer in turn and prints a line for each.
func (r row) compare(m *meter, peers []peer, n int) error {
	const warm = 2
	samples := make([][]sample, len(peers))
	for i := range n + warm {
		for k, p := range peers {
			id := fmt.Sprintf("b%d", i)
			if err := all(r.before, p, id); err != nil {
				return err
			}
			s, err := m.measure(r.measure(p, id))
			if err != nil {
				return err
			}
			if err := all(r.after, p, id); err != nil {
				return err
			}
			if i >= warm {
				samples[k] = append(samples[k], s)
			}
		}
	}
	fmt.Printf("%-20s %8s %8s %8s %8s   %8s %8s   %s\n", r.name, "CPU min", "low", "median", "ratio", "wall low", "ratio", "ms; ratio: the first to this one")
	for k, p := range peers {
		cpu, wall := column(samples[k], func(s sample) time.Duration { return s.cpu }), column(samples[k], func(s sample) time.Duration { return s.wall })
		ours, oursWall := column(samples[0], func(s sample) time.Duration { return s.cpu }), column(samples[0], func(s sample) time.Duration { return s.wall })
		fmt.Printf("  %-18s %8.2f %8.2f %8.2f %8.2f   %8.2f %8.2f\n", p.name, ms(cpu[0]), ms(cpu[n/4]), ms(cpu[n/2]), ratio(ours[n/4], cpu[n/4]), ms(wall[n/4]), ratio(oursWall[n/4], wall[n/4]))
	}
	return nil
}

// all performs unmeasured commands.
func all(make func(peer, string) [][]string, p peer, id string) error {
	if make == nil {
		return nil
	}
	for _, args := range make(p, id) {
		if err := command(args); err != nil {
			return err
		}
	}
	return nil
}

func column(s []sample, of func(sample) time.Duration) []time.Duration {
	list := make([]time.Duration, 0, len(s))
	for _, x := range s {
		list = append(list, of(x))
	}
	slices.Sort(list)
	return list
}

func ms(d time.Duration) float64       { return float64(d) / 1e6 }
func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }
func first(err, second error) error {
	if err != nil {
		return err
	}
	return second
}

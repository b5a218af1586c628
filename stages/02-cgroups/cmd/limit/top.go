package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func newTop(t terminal) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top GROUP",
		Short: "List the processes of a group",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return runTop(cmd.Context(), t, args[0], every) },
	}
	cmd.Flags().DurationVarP(&every, "watch", "w", 0, "look again and again, in this `INTERVAL`, until the group goes away")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	return cmd
}

func runTop(ctx context.Context, t terminal, name string, every time.Duration) error {
	g, err := existing(name)
	if err != nil {
		return err
	}
	if every <= 0 {
		return processes(t.out, g)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var before *cgroup.Stats
	for {
		before, err = frame(t.out, g, before, every)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// frame is one look: on a terminal in place of the one before, else below it. It is written at once, so that
// nothing flickers.
func frame(out *os.File, g *cgroup.Group, before *cgroup.Stats, every time.Duration) (*cgroup.Stats, error) {
	now, err := g.Stats()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err == nil {
		b.WriteString("\x1b[H\x1b[J")
	}
	busy := "    -"
	if before != nil {
		busy = fmt.Sprintf("%5.1f%%", 100*float64(now.CPU.Usage-before.CPU.Usage)/float64(every))
	}
	fmt.Fprintf(&b, "%s  cpu %s  memory %s of %s  pids %d of %s\n", g.Path(), busy,
		formatBytes(now.Memory.Usage), formatBytes(now.Memory.Limit), now.Pids.Current, formatCount(now.Pids.Limit))
	if err := processes(&b, g); err != nil {
		return nil, err
	}
	_, err = out.Write(b.Bytes())
	return now, err
}

func processes(out io.Writer, g *cgroup.Group) error {
	pids, err := g.AllPids()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PID\tSTATE\tTHREADS\tCPU\tRSS\tCOMMAND")
	for _, pid := range pids {
		p, err := readProcess(pid)
		if err != nil {
			continue // it has just ended
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\n", pid, p.state, p.threads, p.cpu, formatBytes(p.rss), p.command)
	}
	return w.Flush()
}

type process struct {
	state   string
	threads int64
	cpu     time.Duration
	rss     uint64
	command string
}

func readProcess(pid int) (process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(string(stat), os.Getpagesize())
	if err != nil {
		return process{}, fmt.Errorf("%s/stat: %w", dir, err)
	}
	if line, err := os.ReadFile(dir + "/cmdline"); err == nil && len(line) > 0 {
		p.command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	return p, nil
}

// parseStat reads what proc_pid_stat(5) numbers from 1: (2) comm, which may hold anything, then (3) state,
// (14) utime and (15) stime in hundredths of a second, (20) num_threads, (24) rss in pages.
func parseStat(line string, pageSize int) (process, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("no (comm) in %q", line)
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 22 {
		return process{}, fmt.Errorf("only %d fields in %q", len(fields)+2, line)
	}
	var n [4]int64
	for i, number := range []int{14, 15, 20, 24} {
		v, err := strconv.ParseInt(fields[number-3], 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("field %d: %w", number, err)
		}
		n[i] = v
	}
	return process{
		state: fields[0], threads: n[2], cpu: time.Duration(n[0]+n[1]) * 10 * time.Millisecond,
		rss: uint64(n[3]) * uint64(pageSize), command: "[" + line[open+1:end] + "]",
	}, nil
}

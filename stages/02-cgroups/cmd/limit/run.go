package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type runOptions struct {
	budget
	name    string
	remove  bool
	systemd bool
	slice   string
}

func newRun(t terminal) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND [ARG...]",
		Short: "Run a program in a group",
		Long: "Run a program in a group: it has the budget from its first instruction on.\n\n" +
			"The exit status is the program's; 128+N if signal N ended it; 125 if limit failed, 126 if the program\n" +
			"cannot be executed, 127 if it is not there.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runRun(cmd.Context(), t, &o, args) },
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	o.flags(f)
	f.StringVar(&o.name, "name", "", "the group: made unless it is there (default: one for this run alone)")
	f.BoolVar(&o.systemd, "systemd", false, "have systemd make the group: a transient scope, as systemd-run --scope does")
	f.StringVar(&o.slice, "slice", "", "with --systemd: the slice to make it in (default system.slice, or user.slice)")
	f.BoolVar(&o.remove, "rm", false, "afterwards kill what is left in the group, and remove it (always so without --name)")
	return cmd
}

func runRun(ctx context.Context, t terminal, o *runOptions, args []string) (err error) {
	resources, err := o.resources()
	if err != nil {
		return err
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return startError{err}
	}
	if o.name == "" {
		o.name, o.remove = ownName(), true
	}
	g, err := o.group()
	if err != nil {
		return err
	}
	fresh, ran := !g.Exists(), false
	if err := g.Create(); err != nil {
		return err
	}
	defer func() {
		if o.remove || fresh && !ran { // a run that never began leaves nothing
			err = errors.Join(err, end(ctx, g))
		}
	}()
	if err := g.Set(resources); err != nil {
		return err
	}
	before, _ := g.OOMKills() // without a memory controller nothing can be told afterwards
	code, err := spawn(t, g, program, args)
	if err != nil {
		return err
	}
	ran = true
	reportOOM(t, g, before)
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

// initialPIDs is the number of the machine's first pid namespace (include/linux/proc_ns.h, PROC_PID_INIT_INO).
const initialPIDs = 0xEFFFFFFC

// ownName is a name for this run alone. A process id is one within its pid namespace only, and cgroups have none: in a namespace
// other than the machine's first that one's number follows.
func ownName() string {
	name := fmt.Sprintf("run-%d", os.Getpid())
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err == nil && st.Ino != initialPIDs {
		name += strconv.FormatUint(st.Ino, 10)
	}
	return name
}

// group is the one to run in: a directory, or with --systemd the unit limit-NAME.scope.
func (o *runOptions) group() (*cgroup.Group, error) {
	if !o.systemd {
		if o.slice != "" {
			return nil, fmt.Errorf("--slice %s is for --systemd", o.slice)
		}
		return find(o.name)
	}
	l, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	return l.Use(cgroup.Systemd).Group(o.slice + ":limit:" + o.name)
}

// spawn runs the program in the group to its end. The signals that ask a program to do something go on to
// it; those of the keyboard reach it from the terminal anyway.
func spawn(t terminal, g *cgroup.Group, program string, args []string) (int, error) {
	cmd, release, err := command(g, program, args)
	if err != nil {
		return 0, err
	}
	defer release()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.in, t.out, t.err
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, startError{fmt.Errorf("start %s in cgroup %s: %w", program, g.Path(), err)}
	}
	g.Settle()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if s != unix.SIGINT && s != unix.SIGQUIT {
					cmd.Process.Signal(s) // an error means that it has ended
				}
			case <-done:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(done)
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return 0, err
	}
	if status, ok := cmd.ProcessState.Sys().(unixStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func reportOOM(t terminal, g *cgroup.Group, before uint64) {
	after, err := g.OOMKills()
	if err != nil || after <= before {
		return
	}
	s, err := g.Stats()
	if err != nil {
		return
	}
	fmt.Fprintf(t.err, "limit: out of memory: %s killed in %s (limit %s)\n",
		count(after-before, "process", "processes"), g.Path(), formatBytes(s.Memory.Limit))
}

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// end kills and removes; it must happen although the run was cancelled.
func end(ctx context.Context, g *cgroup.Group) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := g.Kill(ctx); err != nil {
		return err
	}
	return g.Remove(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/screen"
)

// testOptions say where and what.
type testOptions struct {
	vm   string   // "": here; else in a virtual machine, with "systemd" one whose process 1 systemd is
	only []string // patterns of packages; none: all
	run  string   // pattern of tests, as go test takes it; "": all
}

// args are what follows go test: kernel tests share cgroups, mounts and links, so one package at a time.
func (o testOptions) args(root string) []string {
	args := []string{"-p", "1", "-count=1"}
	if o.vm != "" {
		machine := learner.Machine(root)
		if o.vm == systemd {
			machine += " --systemd"
		}
		args = append(args, "-timeout=30m", "-exec", machine+" --") // a fork costs twenty times as much there
	}
	if o.run != "" {
		args = append(args, "-run", o.run)
	}
	if len(o.only) == 0 {
		return append(args, "./...")
	}
	return append(args, o.only...)
}

// env is what is added to its environment.
func (o testOptions) env(root string) ([]string, error) {
	if o.vm == "" {
		return nil, nil
	}
	dir, err := learner.MachineDir(root)
	return []string{"GOTMPDIR=" + dir, "CGO_ENABLED=0", "VM_TIMEOUT=1800"}, err
}

const systemd = "systemd"

func newTest() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use: "test [STAGE...]", Short: "Test stages: the learner's copy where there is one, else the reference",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTest(cmd.Context(), cmd.OutOrStdout(), args, o)
		},
	}
	cmd.Flags().StringVar(&o.vm, "vm", "", "run the tests in a throw-away virtual machine with pure cgroup v2 (course/vm/run); systemd: one that systemd runs")
	cmd.Flags().Lookup("vm").NoOptDefVal = "1"
	cmd.Flags().StringSliceVar(&o.only, "only", nil, "of the reference, these packages alone (./cmd/...)")
	cmd.Flags().StringVar(&o.run, "run", "", "of the reference, the tests of this pattern alone")
	return cmd
}

func runTest(ctx context.Context, out io.Writer, args []string, o testOptions) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := chosen(root, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return testReference(ctx, out, root, append(stages, "course"), o, true)
	}
	var copies, rest []string
	for _, s := range stages {
		if learner.Chosen(root, s) == learner.Mine {
			copies = append(copies, s)
			continue
		}
		rest = append(rest, s)
		if _, there := learner.Dir(root, s); there {
			fmt.Fprintf(out, "the reference of %s; your copy rests (%s use mine %s takes it up again)\n", s, tool, s[1:2])
		} else {
			fmt.Fprintf(out, "the reference of %s; make stage-%s start gives you a copy of your own\n", s, s[1:2])
		}
	}
	for _, s := range copies {
		err = worse(err, testCopy(ctx, screen.New(out), root, s, o.vm != ""))
	}
	if len(rest) > 0 {
		err = worse(err, testReference(ctx, out, root, rest, o, false))
	}
	return err
}

// worse keeps the first error that is more than a failed test.
func worse(a, b error) error {
	if _, mere := errors.AsType[exitCode](a); a == nil || mere && b != nil {
		return b
	}
	return a
}

// testReference runs go test on stages, and on the course itself.
func testReference(ctx context.Context, out io.Writer, root string, stages []string, o testOptions, whole bool) error {
	env, err := o.env(root)
	if err != nil {
		return err
	}
	if o.vm != "" {
		fmt.Fprintf(out, "in a virtual machine with pure cgroup v2%s\n", map[bool]string{true: " and systemd"}[o.vm == systemd])
	}
	var all gotest.Result
	for _, s := range stages {
		dir := filepath.Join(root, "stages", s)
		if s == "course" {
			dir = filepath.Join(root, s)
		}
		r, err := gotest.Run(ctx, dir, env, out, o.args(root)...)
		if err != nil {
			return err
		}
		all.Add(r)
	}
	if o.run != "" && all.Passed+all.Failed+all.Skipped == 0 {
		return fmt.Errorf("no test is called %s", o.run)
	}
	return summary(out, root, all, whole && o.vm == "")
}

// summary prints what failed, what was skipped and why, and the line that counts.
func summary(out io.Writer, root string, r gotest.Result, whole bool) error {
	fmt.Fprint(out, r.Output)
	for _, s := range r.Skips {
		fmt.Fprintf(out, "skip %s\n", s)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.Passed, r.Failed, r.Skipped)
	if r.Failed > 0 {
		return exitCode(1)
	}
	// A person's machine may lack what CI installs; there a skip too many is an error.
	if !whole || os.Getenv("CI") == "" {
		return nil
	}
	known, err := knownSkips(root)
	if err != nil {
		return err
	}
	if r.Skipped > known {
		return fmt.Errorf("%d tests were skipped, course/known-skips allows %d: what does this machine lack?", r.Skipped, known)
	}
	return nil
}

func knownSkips(root string) (int, error) {
	b, err := os.ReadFile(filepath.Join(root, "course", "known-skips"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

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

func newTest() *cobra.Command {
	vm := false
	cmd := &cobra.Command{
		Use: "test [STAGE...]", Short: "Test stages: the learner's copy where there is one, else the reference",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTest(cmd.Context(), cmd.OutOrStdout(), args, vm)
		},
	}
	cmd.Flags().BoolVar(&vm, "vm", false, "run the tests in a throw-away virtual machine with pure cgroup v2 (course/vm/run)")
	return cmd
}

func runTest(ctx context.Context, out io.Writer, args []string, vm bool) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := chosen(root, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return testReference(ctx, out, root, append(stages, "course"), vm, true)
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
		err = worse(err, testCopy(ctx, screen.New(out), root, s, vm))
	}
	if len(rest) > 0 {
		err = worse(err, testReference(ctx, out, root, rest, vm, false))
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
func testReference(ctx context.Context, out io.Writer, root string, stages []string, vm, whole bool) error {
	var how, env []string
	if vm {
		dir, err := learner.MachineDir(root)
		if err != nil {
			return err
		}
		how = []string{"-exec", learner.Machine(root) + " --"}
		env = []string{"GOTMPDIR=" + dir, "CGO_ENABLED=0"}
		fmt.Fprintln(out, "in a virtual machine with pure cgroup v2")
	}
	var all gotest.Result
	for _, s := range stages {
		dir := filepath.Join(root, "stages", s)
		if s == "course" {
			dir = filepath.Join(root, s)
		}
		// Kernel tests share cgroups, mounts and links: one package at a time.
		r, err := gotest.Run(ctx, dir, env, out, append(how, "-p", "1", "-count=1", "./...")...)
		if err != nil {
			return err
		}
		all.Add(r)
	}
	return summary(out, root, all, whole && !vm)
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

package main

import (
	"context"
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
	var how []string
	var env []string
	if vm {
		how = []string{"-exec", filepath.Join(root, "course", "vm", "run") + " --"}
		// The machine sees the root file system, but has a /tmp of its own.
		env = []string{"GOTMPDIR=" + filepath.Join(root, ".cache", "vm"), "CGO_ENABLED=0"}
		if err := os.MkdirAll(filepath.Join(root, ".cache", "vm"), 0o755); err != nil {
			return err
		}
	}
	stages, err := chosen(root, args)
	if err != nil {
		return err
	}
	if len(args) > 0 && !vm {
		if learner.Chosen(root, stages[0]) == learner.Mine {
			return testCopy(ctx, screen.New(out), root, stages[0])
		}
		if _, there := learner.Dir(root, stages[0]); there {
			fmt.Fprintf(out, "the reference of %s; your copy rests (%s use mine %s takes it up again)\n", stages[0], tool, stages[0][1:2])
		}
	}
	var all gotest.Result
	dirs := stages
	for i, s := range dirs {
		dirs[i] = filepath.Join("stages", s)
	}
	if len(args) == 0 {
		dirs = append(dirs, "course")
	}
	for _, dir := range dirs {
		// Kernel tests share cgroups, mounts and links: one package at a time.
		r, err := gotest.Run(ctx, filepath.Join(root, dir), env, out, append(how, "-p", "1", "-count=1", "./...")...)
		if err != nil {
			return err
		}
		all.Add(r)
	}
	return summary(out, root, all, len(args) == 0 && !vm)
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

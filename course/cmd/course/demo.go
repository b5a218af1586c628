package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func newDemo() *cobra.Command {
	pause := false
	cmd := &cobra.Command{
		Use: "demo [NAME]", Short: "Run a demonstration, or list them", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), args, pause)
		},
	}
	cmd.Flags().BoolVar(&pause, "pause", false, "wait for a key between scenes (make stage-1 demo PAUSE=1)")
	cmd.AddCommand(&cobra.Command{
		Use: "inside STORY", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return inside(args[0]) },
	})
	cmd.AddCommand(&cobra.Command{
		Use: "breakout", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return breakout(cmd.OutOrStdout()) },
	})
	return cmd
}

// inside runs in the new namespaces, where the loopback link is still down.
func inside(story string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", story, unix.Exec(story, []string{story}, os.Environ()))
}

// runDemo runs course/demos/NAME in namespaces of its own, so that it leaves
// nothing behind whatever happens.
func runDemo(ctx context.Context, out io.Writer, args []string, pause bool) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stories, err := filepath.Glob(filepath.Join(root, "course", "demos", "*"))
	if err != nil {
		return err
	}
	var names []string
	for _, s := range stories {
		name := filepath.Base(s)
		names = append(names, name)
		if len(args) == 1 && (name == args[0] || name == "stage-"+args[0]) {
			return play(ctx, root, s, pause)
		}
		if len(args) == 0 {
			fmt.Fprintf(out, "%-8s  %s\n", name, about(s))
		}
	}
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("no demonstration %q: there are %s", args[0], strings.Join(names, ", "))
}

// about is what a story's first comment says.
func about(story string) string {
	b, err := os.ReadFile(story)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

func play(ctx context.Context, root, story string, pause bool) error {
	bin := filepath.Join(root, "bin")
	if os.Geteuid() != 0 {
		return fmt.Errorf("demonstration %s: needs root (sudo make demo)", filepath.Base(story))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "isolate"), "--net", "--mount", "--pid", "--mount-proc", "--ipc", "--", self, "demo", "inside", story)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "COURSE="+self, "ARCH="+runtime.GOARCH)
	if pause {
		cmd.Env = append(cmd.Env, "PAUSE=1")
	}
	cmd.Dir = root
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

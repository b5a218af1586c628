package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/01-namespaces/reap"
)

// newInit is what --init puts before the program: isolate once more, as process 1.
func newInit() *cobra.Command {
	return &cobra.Command{
		Use: "init", Hidden: true, Args: cobra.MinimumNArgs(1), SilenceErrors: true, SilenceUsage: true,
		RunE: func(_ *cobra.Command, args []string) error { return runInit(args) },
	}
}

func runInit(args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		fmt.Fprintf(os.Stderr, "isolate: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return exitCode(127)
		}
		return exitCode(126)
	}
	ws, err := reap.Run(path, args, os.Environ())
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "isolate: %v\n", err)
		return exitCode(126)
	case ws.Signaled():
		return exitCode(128 + int(ws.Signal()))
	case ws.ExitStatus() != 0:
		return exitCode(ws.ExitStatus())
	}
	return nil
}

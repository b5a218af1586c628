// Limit gives a program a budget: it makes control groups, runs programs in them, and shows, freezes, kills
// and removes them. It stands where cgexec(1) and systemd-run(1) do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"golang.org/x/sys/unix"
)

func main() { os.Exit(run(os.Args[1:])) }

// run is the program; its result is the exit status.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	cmd := newLimit(terminal{os.Stdin, os.Stdout, os.Stderr})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "limit: %v\n", err)
	hint(err)
	return status(err)
}

// exitCode is the status of the program that ran; it has said what it had to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// startError is a program that could not be started.
type startError struct{ error }

func (e startError) Unwrap() error { return e.error }

// status follows env(1) and timeout(1): 125 for a failure of limit's own, 126 a program that cannot be
// executed, 127 one that is not there.
func status(err error) int {
	if _, ok := errors.AsType[startError](err); !ok {
		return 125
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return 127
	}
	return 126
}

// hint tells what this machine has when what it lacks was asked for, and who may make groups.
func hint(err error) {
	if _, ok := errors.AsType[*cgroup.NoControllerError](err); ok {
		if l, err := cgroup.Detect(); err == nil {
			fmt.Fprintf(os.Stderr, "limit: this machine (cgroup %s) offers: %v\n", l.Mode(), l.Controllers())
		}
	}
	if errors.Is(err, os.ErrPermission) && os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "limit: control groups belong to root, unless a folder of theirs was given to you (cgroups(7), delegation)")
	}
}

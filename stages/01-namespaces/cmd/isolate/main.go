// Isolate runs a program in new namespaces, or in those of another process: what
// unshare(1), nsenter(1) and lsns(8) do, from one list of steps that it can
// explain, trace, and stop before each of.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

func main() {
	cmd := newIsolate()
	err := cmd.ExecuteContext(context.Background())
	if code, ok := errors.AsType[exitCode](err); ok {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "isolate: %v\n", err)
		os.Exit(status(err))
	}
}

// exitCode is the status of the program that ran.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// status is the exit status of a failure, as the shell and unshare(1) give it:
// 127 no such program, 126 it may not be executed, 1 anything else.
func status(err error) int {
	if s, ok := errors.AsType[*launch.StepError](err); ok && strings.HasPrefix(s.Step, "execve ") {
		switch {
		case errors.Is(err, unix.ENOENT):
			return 127
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOEXEC):
			return 126
		}
	}
	return 1
}

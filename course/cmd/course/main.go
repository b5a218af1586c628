// Course is the tool behind the Makefile's goals: it tests the stages, proves the
// exercises, tells what this machine can do, and runs the demonstrations.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	err := newCourse().ExecuteContext(ctx)
	stop()
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "course: %v\n", err)
		return 1
	}
	return 0
}

// exitCode ends the program without another word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func newCourse() *cobra.Command {
	cmd := &cobra.Command{
		Use: "course", Short: "Learn how a container engine works by building one",
		SilenceErrors: true, SilenceUsage: true,
	}
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(newStart(), newTest(), newWatch(), newStatus(), newNext(), newHint(), newWhy(), newPeek(), newReset(), newGoto(), newUse(),
		newDoctor(), newDemo(), newCheck(), newDocs(), newMan())
	return cmd
}

// checkout is the root of the repository that holds the working directory.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; at != "/"; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "stages", "01-namespaces")); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s is not inside a checkout of slipway", dir)
}

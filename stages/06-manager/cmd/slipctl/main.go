// Command slipctl looks at and drives a manager, ours or containerd, as ctr does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"
)

// exitError is a container's exit code that becomes ours.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	err := newRoot(streams{os.Stdin, os.Stdout, os.Stderr}).ExecuteContext(ctx)
	if err == nil {
		return
	}
	if code, ok := errors.AsType[exitError](err); ok {
		os.Exit(int(code))
	}
	fmt.Fprintf(os.Stderr, "slipctl: %s\n", message(err))
	os.Exit(1)
}

// message is an error without gRPC's frame around it.
func message(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

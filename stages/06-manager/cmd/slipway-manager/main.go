// Command slipway-manager keeps images, snapshots and tasks and serves them with
// containerd's gRPC services, so that containerd's clients can use it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := newRoot(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "slipway-manager: %v\n", err)
		os.Exit(1)
	}
}

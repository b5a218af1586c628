// Command slipway-daemon serves the Docker Engine API on top of slipway-manager or containerd.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := newRoot().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "slipway-daemon: %v\n", err)
		os.Exit(1)
	}
}

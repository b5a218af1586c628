// Command slipway is the client of slipway-daemon, and of any engine that speaks Docker's API.
package main

import (
	"context"
	"os"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/cli"
)

func main() {
	app := &cli.App{
		Streams: cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		Getenv:  os.Getenv,
		Now:     time.Now,
	}
	os.Exit(cli.Main(context.Background(), app, os.Args[1:]))
}

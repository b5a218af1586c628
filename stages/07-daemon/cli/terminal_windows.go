//go:build windows

package cli

import (
	"context"
	"os"
	"os/signal"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/term"
)

// followSize tells the daemon the console's size; Windows sends no signal, so it is looked at four times a second.
func (a *App) followSize(ctx context.Context, resize func(client.ContainerResizeOptions) error) func() {
	f, ok := terminal(a.Out)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		var last client.ContainerResizeOptions
		for ctx.Err() == nil {
			columns, rows, err := term.GetSize(int(f.Fd()))
			size := client.ContainerResizeOptions{Height: uint(rows), Width: uint(columns)}
			if err == nil && size != last {
				last = size
				_ = resize(size) // it may have ended already
			}
			time.Sleep(250 * time.Millisecond)
		}
	}()
	return cancel
}

// proxySignals sends ctrl-c to the container instead of ending this process.
func proxySignals(ctx context.Context, api *client.Client, id string) func() {
	got := make(chan os.Signal, 16)
	signal.Notify(got, os.Interrupt)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		for {
			select {
			case <-got:
				_, _ = api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "INT"}) // not running yet or any more
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(got)
		cancel()
	}
}

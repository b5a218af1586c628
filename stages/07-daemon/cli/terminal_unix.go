//go:build !windows

package cli

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// followSize tells the daemon the terminal's size, now and at every SIGWINCH; the result ends that.
func (a *App) followSize(ctx context.Context, resize func(client.ContainerResizeOptions) error) func() {
	f, ok := terminal(a.Out)
	if !ok {
		return func() {}
	}
	send := func() {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err == nil && (rows > 0 || columns > 0) {
			_ = resize(client.ContainerResizeOptions{Height: uint(rows), Width: uint(columns)}) // it may have ended already
		}
	}
	send()
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-changed:
				send()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(changed)
		cancel()
	}
}

// proxySignals sends the signals this process gets to the container instead; the result ends that. CHLD and PIPE are our own
// affair, WINCH is a matter of size, and URG is how the Go runtime preempts.
func proxySignals(ctx context.Context, api *client.Client, id string) func() {
	got := make(chan os.Signal, 128)
	signal.Notify(got)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		for {
			select {
			case s := <-got:
				if name := signalToSend(s); name != "" {
					_, _ = api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: name}) // not running yet or any more
				}
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

func signalToSend(s os.Signal) string {
	switch s {
	case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGWINCH, syscall.SIGURG:
		return ""
	}
	number, ok := s.(syscall.Signal)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(unix.SignalName(number), "SIG")
}

package main

import (
	"io"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCtrlC: to die of it between two steps would leave a container that is being created for ever.
func TestCtrlC(t *testing.T) {
	typed, keyboard := io.Pipe()
	defer keyboard.Close()
	d := &debugger{in: typed, out: io.Discard, lines: make(chan string)}
	go d.listen()

	ours := make(chan os.Signal, 1) // the test shall not die of it either
	signal.Notify(ours, os.Interrupt)
	defer signal.Stop(ours)
	answer := make(chan error, 1)
	go func() {
		_, err := d.read()
		answer <- err
	}()
	for {
		require.NoError(t, unix.Kill(os.Getpid(), unix.SIGINT))
		select {
		case err := <-answer:
			require.ErrorIs(t, err, errAborted)
			return
		case <-time.After(10 * time.Millisecond): // it did not wait yet
		}
	}
}

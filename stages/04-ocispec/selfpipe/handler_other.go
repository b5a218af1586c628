//go:build !amd64

package selfpipe

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// deliver lets the Go runtime catch the signals, and a goroutine write them.
func deliver(fd int, signals []unix.Signal) (stop func() error, err error) {
	caught, passed := make(chan os.Signal, 64), make(chan error, 1)
	for _, s := range signals {
		signal.Notify(caught, s)
	}
	go func() {
		var err error
		for s := range caught {
			if _, e := unix.Write(fd, []byte{byte(s.(unix.Signal))}); e != nil && !errors.Is(e, unix.EAGAIN) {
				err = e
			}
		}
		passed <- err
	}()
	return func() error {
		signal.Stop(caught)
		close(caught)
		return <-passed
	}, nil
}

// Package selfpipe turns signals into bytes in a pipe, so that one poll(2) waits for them and for other things (the self-pipe
// trick, select_tut(2)).
//
// os/signal would do, but it starts two threads and switches between them six times for each signal that it is asked for: in a
// program that lives for ten milliseconds that is one part in twenty. Here the handler itself writes the byte; where no handler is
// written for the machine, os/signal does.
package selfpipe

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Pipe delivers the signals that it was opened for.
type Pipe struct {
	read int
	stop func() error
}

// ends are one pipe's for the whole process, as signals are. It is never closed: a handler may be about to write on another thread.
var ends = sync.OnceValues(func() ([2]int, error) {
	var p [2]int
	err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK) // a full pipe must not stop whoever runs the handler
	return p, err
})

// Open takes the signals, until Close, from whoever else handles them in this process. There is one Pipe at a time.
func Open(signals ...unix.Signal) (*Pipe, error) {
	p, err := ends()
	if err != nil {
		return nil, fmt.Errorf("pipe for signals: %w", err)
	}
	stop, err := deliver(p[1], signals)
	if err != nil {
		return nil, err
	}
	return &Pipe{p[0], stop}, nil
}

// FD is readable when a signal has come (poll(2)).
func (p *Pipe) FD() int { return p.read }

// Next are the signals that have come since it was last asked, oldest first; none if none has.
func (p *Pipe) Next() ([]unix.Signal, error) {
	var buf [64]byte
	n, err := unix.Read(p.read, buf[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pipe for signals: %w", err)
	}
	list := make([]unix.Signal, n)
	for i, b := range buf[:n] {
		list[i] = unix.Signal(b)
	}
	return list, nil
}

// Close gives the signals back to whoever handled them before.
func (p *Pipe) Close() error { return p.stop() }

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// pipes are a process's stdio as named pipes: the caller makes them, the shim
// opens its ends when the process is created.
type pipes struct {
	dir                   string
	stdin, stdout, stderr string // paths; stderr is "" with a terminal
	copies                sync.WaitGroup
}

// newPipes makes the pipes. A terminal has one for both directions' output.
func newPipes(tty bool) (_ *pipes, err error) {
	p := &pipes{}
	if p.dir, err = os.MkdirTemp("", "slipctl-"); err != nil {
		return nil, err
	}
	p.stdin, p.stdout = filepath.Join(p.dir, "stdin"), filepath.Join(p.dir, "stdout")
	paths := []string{p.stdin, p.stdout}
	if !tty {
		p.stderr = filepath.Join(p.dir, "stderr")
		paths = append(paths, p.stderr)
	}
	for _, path := range paths {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return nil, errors.Join(err, p.remove())
		}
	}
	return p, nil
}

func (p *pipes) remove() error { return os.RemoveAll(p.dir) }

// connect copies until the process closes its output. Opening a pipe waits for
// its other end (fifo(7)), so each has a goroutine. closeInput is called at the
// end of our input, because the shim keeps the pipe open itself.
func (p *pipes) connect(s streams, closeInput func()) {
	p.copies.Go(func() { copyOut(s.out, p.stdout) })
	if p.stderr != "" {
		p.copies.Go(func() { copyOut(s.err, p.stderr) })
	}
	if p.stdin == "" {
		return
	}
	go func() { // not waited for: it may be reading a terminal when the process ends
		w, err := os.OpenFile(p.stdin, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		_, _ = io.Copy(w, s.in) // the process may stop reading when it likes
		_ = w.Close()
		closeInput()
	}()
}

func copyOut(w io.Writer, path string) {
	r, err := os.Open(path)
	if err != nil {
		return // removed: the process was never created
	}
	defer r.Close()
	_, _ = io.Copy(w, r)
}

// raw switches a terminal to raw mode and returns how to switch back.
func raw(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, errors.New("-t needs a terminal")
	}
	t := *old // termios(3), cfmakeraw
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}

// followSize tells the size of the terminal now and whenever it changes.
func followSize(ctx context.Context, f *os.File, changed <-chan os.Signal, tell func(width, height uint32)) {
	for {
		if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			tell(uint32(ws.Col), uint32(ws.Row))
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

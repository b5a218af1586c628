package stdio

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tee copies output to attached clients through a named pipe. It keeps the write end open without
// a reader, which open(2) refuses but an inherited descriptor may do: a reader can come at any
// time and sees end of file exactly when the output ends, and a write without one is EPIPE.
type tee struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex // guards the fields below; not held while a write waits
	f       *os.File   // nil: given up
	patient time.Duration
	closed  bool
}

// teePatience is how long a reader may make no progress before it is dropped.
const teePatience = 10 * time.Second

func openTee(path string, patient time.Duration, log *slog.Logger) (*tee, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make named pipe %s: %w", path, err)
	}
	t := &tee{path: path, patient: patient, log: log}
	return t, t.open()
}

func (t *tee) open() error {
	both, err := openFIFO(t.path, unix.O_RDWR)
	if err != nil {
		return err
	}
	defer both.Close()
	f, err := reopen(both, unix.O_WRONLY)
	if err != nil {
		return err
	}
	t.replace(f)
	return nil
}

// replace puts f, which may be nil, in the place of the current pipe.
func (t *tee) replace(f *os.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.f != nil {
		t.f.Close()
	}
	t.f = f
	if t.closed && f != nil {
		f.Close()
		t.f = nil
	}
}

// armed is the current pipe, ready for a write that waits no longer than patient; nil: none.
func (t *tee) armed() *os.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.f != nil && t.f.SetWriteDeadline(time.Now().Add(t.patient)) != nil {
		return nil
	}
	return t.f
}

// reopen opens what a descriptor stands for again, by its magic link (proc_pid_fd(5)).
func reopen(f *os.File, how int) (again *os.File, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		var n int
		n, err = unix.Open("/proc/self/fd/"+strconv.Itoa(int(fd)), how|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			again = os.NewFile(uintptr(n), f.Name())
		}
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return nil, fmt.Errorf("open %s again: %w", f.Name(), err)
	}
	return again, nil
}

// Write gives p to the reader if there is one. It never fails and waits at most patient for
// a reader that does not read.
func (t *tee) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		f := t.armed()
		if f == nil {
			break
		}
		n, err := f.Write(rest)
		rest = rest[n:]
		switch {
		case err == nil:
		case errors.Is(err, syscall.EPIPE):
			dropStale(f)
			return len(p), nil
		case errors.Is(err, os.ErrDeadlineExceeded) && n > 0: // slow, but alive
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.dropReader()
			return len(p), nil
		default:
			t.giveUp(err)
		}
	}
	return len(p), nil
}

// dropStale throws away what the last reader left unread, or the next one would see it.
func dropStale(f *os.File) {
	unread := 0
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	if unread == 0 {
		return
	}
	r, err := reopen(f, unix.O_RDONLY)
	if err != nil {
		return
	}
	defer r.Close()
	if r.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	for buf := make([]byte, 4096); unread > 0; {
		n, err := r.Read(buf[:min(unread, len(buf))])
		if err != nil {
			return
		}
		unread -= n
	}
}

// dropReader leaves a stopped reader behind with the old pipe, which ends for it, and puts a new
// pipe in its place for the next.
func (t *tee) dropReader() {
	t.log.Warn("a reader of container output made no progress and was dropped", "pipe", t.path)
	t.replace(nil)
	fresh := t.path + ".new"
	_ = os.Remove(fresh)
	err := unix.Mkfifo(fresh, 0o600)
	if err == nil {
		err = os.Rename(fresh, t.path)
	}
	if err == nil {
		err = t.open()
	}
	if err != nil {
		t.giveUp(err)
	}
}

func (t *tee) giveUp(err error) {
	if !errors.Is(err, os.ErrClosed) {
		t.log.Error("container output no longer reaches attached clients", "pipe", t.path, "err", err)
	}
	t.replace(nil)
}

func (t *tee) Flush() error { return nil }

// Hurry ends the patience with the reader.
func (t *tee) Hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.patient = 0
	if t.f != nil {
		_ = t.f.SetWriteDeadline(time.Now())
	}
}

func (t *tee) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.replace(nil)
	return nil
}

// both logs first and shows second: a client never sees what the log could lose.
type both struct{ log, show sink }

func (b both) Write(p []byte) (int, error) {
	_, err := b.log.Write(p)
	_, _ = b.show.Write(p) // a tee never fails
	return len(p), err
}

func (b both) Flush() error { return errors.Join(b.log.Flush(), b.show.Flush()) }
func (b both) Hurry()       { b.log.Hurry(); b.show.Hurry() }
func (b both) Close() error { return errors.Join(b.log.Close(), b.show.Close()) }

package main

import (
	"errors"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// newLog writes to the named pipe `log` in the bundle, which the manager reads; without one to
// stderr. A manager that does not read must not stop a shim: what does not fit is lost.
func newLog(debug bool) *slog.Logger {
	level := slog.LevelWarn
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(logWriter(), &slog.HandlerOptions{Level: level}))
}

type lossy struct{ fd int }

func (l lossy) Write(p []byte) (int, error) {
	n, err := unix.Write(l.fd, p)
	if errors.Is(err, unix.EAGAIN) {
		return len(p), nil
	}
	return n, err
}

func logWriter() interface{ Write([]byte) (int, error) } {
	fd, err := unix.Open("log", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return os.Stderr
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return os.Stderr
	}
	return lossy{fd}
}

package attach

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fifo is the reading end of a named pipe whose writers come and go. Read never reports the end of the file,
// because for a pipe that only means "no writer just now" (fifo(7)); finish does.
type fifo struct {
	file *os.File
	raw  syscall.RawConn
}

func openFifo(path string) (*fifo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fifo{file: f, raw: raw}, nil
}

// finish lets Read return what is still in the pipe, and then io.EOF.
func (f *fifo) finish() { _ = f.file.SetReadDeadline(time.Unix(1, 0)) }

func (f *fifo) Close() error { return f.file.Close() }

func (f *fifo) Read(p []byte) (int, error) {
	var n int
	var readErr error
	try := func(fd uintptr) bool {
		for {
			n, readErr = unix.Read(int(fd), p)
			if readErr != unix.EINTR {
				break
			}
		}
		empty := readErr == unix.EAGAIN || readErr == nil && n <= 0
		return !empty
	}
	err := f.raw.Read(try)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		done := false
		if cerr := f.raw.Control(func(fd uintptr) { done = !try(fd) }); cerr != nil {
			return 0, cerr
		}
		if done {
			return 0, io.EOF
		}
		err = nil
	}
	if err != nil {
		return 0, err
	}
	if readErr != nil {
		return 0, os.NewSyscallError("read", readErr)
	}
	return n, nil
}

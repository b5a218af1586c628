package stdio

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openFIFO opens a named pipe without waiting for the other side. A link is not followed and
// anything but a pipe is refused: the path lies in a directory that others may write to.
func openFIFO(path string, how int) (*os.File, error) {
	fd, err := unix.Open(path, how|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open named pipe %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return nil, fmt.Errorf("open named pipe %s: not a named pipe", path)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// plainFile is a sink without a buffer: a named pipe or a file.
type plainFile struct{ *os.File }

func (plainFile) Flush() error { return nil }

// Hurry has no effect on a regular file, which never waits.
func (f plainFile) Hurry() { _ = f.SetWriteDeadline(time.Now()) }

// openOutFIFO opens both ends (Linux allows O_RDWR, fifo(7)): the container gets no SIGPIPE when
// the reader dies, and its next reader continues where the last one stopped.
func openOutFIFO(path string) (sink, error) {
	f, err := openFIFO(path, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	return plainFile{f}, nil
}

func openAppend(path string) (sink, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open output file: %w", err)
	}
	return plainFile{f}, nil
}

// inFIFO is the shim's side of a stdin pipe: it reads, and it keeps a writer so that a client that
// goes away is not an end of file. Only CloseIO is.
type inFIFO struct {
	read *os.File
	keep *os.File
}

func openInFIFO(path string) (*inFIFO, error) {
	read, err := openFIFO(path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	keep, err := openFIFO(path, unix.O_WRONLY)
	if err != nil {
		read.Close()
		return nil, err
	}
	return &inFIFO{read: read, keep: keep}, nil
}

// pipe makes a pipe of which the container's end blocks, as programs expect, and ours does not.
func pipe() (read, write int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, fmt.Errorf("make a pipe: %w", err)
	}
	return fds[0], fds[1], nil
}

// polled makes a descriptor ours: non-blocking, so that waiting costs no thread.
func polled(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %s non-blocking: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

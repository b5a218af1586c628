package proxy

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// WithParent gives a context that ends when the process that started us does. Not PR_SET_PDEATHSIG: that speaks of the
// thread that forked us (prctl(2)), and the threads of a Go program come and go.
func WithParent(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if os.Getppid() == 0 { // it is outside our process namespace, and nothing can be said about it
		return ctx, func() {}, nil
	}
	fd, err := unix.PidfdOpen(os.Getppid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		return ctx, func() {}, fmt.Errorf("pidfd of parent %d: %w", os.Getppid(), err)
	}
	parent := os.NewFile(uintptr(fd), "parent") // non-blocking, so it waits with the sockets and costs no thread
	raw, err := parent.SyscallConn()
	if err != nil {
		return ctx, func() {}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_ = raw.Read(func(fd uintptr) bool { return ended(int(fd)) }) // pidfd_open(2): readable when the process has ended
	}()
	return ctx, func() { cancel(); _ = parent.Close() }, nil
}

func ended(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

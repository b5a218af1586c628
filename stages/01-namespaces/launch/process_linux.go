package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Process is a child that Start made.
type Process struct {
	pid   int
	pidfd *os.File
}

// PID is the process id in the caller's pid namespace.
func (p *Process) PID() int { return p.pid }

// PIDFD is readable once the process has ended; it belongs to p.
func (p *Process) PIDFD() *os.File { return p.pidfd }

// Signal sends a signal by pidfd: never to a stranger with a reused pid.
func (p *Process) Signal(s unix.Signal) error {
	return unix.PidfdSendSignal(int(p.pidfd.Fd()), s, nil, 0)
}

// Wait reaps the process. A pid must be waited for at most once.
func (p *Process) Wait() (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(p.pid, &ws, 0, nil)
		if err != unix.EINTR {
			return ws, err
		}
	}
}

// Close releases the pidfd, not the process.
func (p *Process) Close() error { return p.pidfd.Close() }

// Adopt takes over a child of this process that somebody else made for it (clone(2), CLONE_PARENT): criu, restoring one.
func Adopt(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	return &Process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

package reap

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	Status int       // exit code, or 128 + the signal's number as shells and Docker have it
	At     time.Time // when the end was noticed
}

// Process is a child held by a descriptor: the pid cannot be given to another process before we
// have reaped this one.
type Process struct {
	Pid   int
	pidfd *os.File        // in the poller; touched through conn only, so that it stays non-blocking
	conn  syscall.RawConn // of pidfd
	done  chan struct{}
	exit  Exit // written once, before done is closed
}

// Hold takes responsibility for a child. Call it between Launching and its done function.
func (r *Reaper) Hold(pid int) (*Process, error) {
	// PIDFD_NONBLOCK (Linux 5.10) lets Go's poller wait on it: a waiting process costs a
	// goroutine, not a thread.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open a pidfd for process %d: %w", pid, err)
	}
	p := &Process{Pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}
	if p.conn, err = p.pidfd.SyscallConn(); err == nil {
		err = p.ours()
	}
	if err != nil {
		p.pidfd.Close()
		return nil, err
	}
	r.mu.Lock()
	r.held[pid] = p
	r.mu.Unlock()
	r.wg.Go(func() { r.await(p) })
	return p, nil
}

// ours refuses a process that is not our child: its exit could never be learned.
func (p *Process) ours() (err error) {
	ctlErr := p.conn.Control(func(fd uintptr) {
		_, err = waitID(unix.P_PIDFD, int(fd), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return fmt.Errorf("process %d is not a child of this shim: %w", p.Pid, err)
	}
	return nil
}

// await reaps p when it ends. The pidfd becomes readable then (pidfd_open(2)).
func (r *Reaper) await(p *Process) {
	var pid int
	var waitErr error
	err := p.conn.Read(func(fd uintptr) bool {
		pid, waitErr = waitID(unix.P_PIDFD, int(fd), unix.WEXITED|unix.WNOHANG, &p.exit)
		return pid != 0 || waitErr != nil
	})
	if err != nil || waitErr != nil {
		p.exit = Exit{Status: unknownStatus, At: time.Now()}
	}
	close(p.done)
	r.forget(p.Pid)
}

// unknownStatus is given when the kernel would not tell: somebody else reaped our child.
const unknownStatus = 255

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is how it ended; it blocks until then.
func (p *Process) Exit() Exit {
	<-p.done
	return p.exit
}

// Signal sends a signal to exactly this process; os.ErrProcessDone when it has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	var err error
	if p.conn.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) }) != nil ||
		errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	if err != nil {
		return fmt.Errorf("send signal %d to process %d: %w", sig, p.Pid, err)
	}
	return nil
}

// Close gives the descriptor back. The process must have ended.
func (p *Process) Close() {
	<-p.done
	p.pidfd.Close()
}

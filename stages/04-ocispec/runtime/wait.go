package runtime

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/selfpipe"
)

// Forward waits for a process and meanwhile passes the signals that people and supervisors send us on to it. The result is its
// exit status as a shell counts it: 128 and the signal's number when a signal ended it.
func Forward(proc *launch.Process, resized func()) (code int, err error) {
	caught, err := selfpipe.Open(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGWINCH)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, caught.Close()) }()
	err = passUntilEnd(proc, caught, resized)
	ws, waitErr := proc.Wait()
	return exitStatus(ws), errors.Join(err, waitErr)
}

// passUntilEnd passes signals on until the process has ended. One that cannot be passed on does not keep us from waiting.
func passUntilEnd(proc *launch.Process, caught *selfpipe.Pipe, resized func()) (failed error) {
	ready := []unix.PollFd{{Fd: int32(proc.PIDFD().Fd()), Events: unix.POLLIN}, {Fd: int32(caught.FD()), Events: unix.POLLIN}}
	for ready[0].Revents == 0 {
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return errors.Join(failed, err)
		}
		list, err := caught.Next()
		for _, s := range list {
			err = errors.Join(err, pass(proc, s, resized))
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// pass forwards a signal; a change of the terminal's size is ours to handle.
func pass(proc *launch.Process, s unix.Signal, resized func()) error {
	if s == unix.SIGWINCH {
		resized()
		return nil
	}
	if err := proc.Signal(s); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// Subreaper makes orphans of the container ours to wait for, so that a container whose first process leaves does not fall to
// the machine's init (prctl(2)).
func Subreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

package runtime

import (
	"errors"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// Forward waits for a process and meanwhile passes the signals that we get on to it. The result is its exit status as a shell
// counts it: 128 and the signal's number when a signal ended it.
func Forward(proc *launch.Process, resized func()) (int, error) {
	signals, ended := make(chan os.Signal, 64), make(chan struct{})
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)
	var passing sync.WaitGroup
	var failed error // written by the goroutine, read when it has ended
	passing.Go(func() {
		for {
			select {
			case <-ended:
				return
			case s := <-signals:
				if err := pass(proc, s.(unix.Signal), resized); err != nil && failed == nil {
					failed = err
				}
			}
		}
	})
	ws, err := proc.Wait() // here and not in a goroutine: whoever waits needs no other thread to be woken by
	close(ended)
	passing.Wait()
	return exitStatus(ws), errors.Join(err, failed)
}

// forwarded are the signals that people and supervisors send. Each one more costs the Go runtime six thread switches at the
// start, so the list is not all of them.
func forwarded() []os.Signal {
	return []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGWINCH}
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

// Package reap is what process 1 of a pid namespace has to do: collect the children that others left behind, and
// pass on signals, which the kernel keeps from process 1 unless it handles them (pid_namespaces(7), "The namespace
// init process").
package reap

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run starts the program at path, reaps whatever process becomes this one's child meanwhile, and returns how the
// program ended. It collects every child of this process: nobody else in it may wait for one. Whoever is left
// when the program has ended dies with its process 1.
func Run(path string, argv, env []string) (unix.WaitStatus, error) {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	defer signal.Stop(signals)
	program, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, fmt.Errorf("execute %s: %w", path, err)
	}
	for s := range signals {
		switch s {
		case unix.SIGCHLD:
			end, err := collect(program)
			if err != nil || end != nil {
				return deref(end), err
			}
		case unix.SIGURG: // the Go runtime's own, for preemption
		default:
			if err := unix.Kill(program, s.(unix.Signal)); err != nil && !errors.Is(err, unix.ESRCH) {
				return 0, fmt.Errorf("pass %s on: %w", s, err)
			}
		}
	}
	return 0, errors.New("the signals ended")
}

func deref(ws *unix.WaitStatus) unix.WaitStatus {
	if ws == nil {
		return 0
	}
	return *ws
}

// collect reaps all children that have ended, and returns how the program did, if it is among them.
func collect(program int) (end *unix.WaitStatus, err error) {
	//ex:begin ns.init-reaps
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD, err == nil && pid == 0:
			return end, nil
		case err != nil:
			return end, fmt.Errorf("wait for children: %w", err)
		case pid == program:
			end = &ws
		}
	}
	//ex:stub
	// return nil, todo.Exercise("ns.init-reaps")
	//ex:end ns.init-reaps
}

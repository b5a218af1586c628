package shell

import (
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"golang.org/x/sys/unix"
)

// signalName is how traps are kept: EXIT, TERM, INT…
func signalName(text string) (string, bool) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if name == "EXIT" || name == "0" {
		return "EXIT", true
	}
	sig, ok := applets.SignalOf(text)
	if !ok {
		return "", false
	}
	return strings.TrimPrefix(unix.SignalName(sig), "SIG"), true
}

func signalOf(name string) (syscall.Signal, bool) {
	if name == "EXIT" {
		return 0, false
	}
	return applets.SignalOf(name)
}

// trapBuiltin is `trap`, `trap ACTION SIGNAL…`, `trap - SIGNAL…` (POSIX 2.14, trap).
func (s *Shell) trapBuiltin(argv []string) int {
	args := argv[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.traps)) {
			fmt.Fprintf(s.file(1), "trap -- %s %s\n", quote(s.traps[name]), name)
		}
		return 0
	}
	action, names := args[0], args[1:]
	if _, err := strconv.Atoi(action); len(names) == 0 || err == nil {
		action, names = "-", args // `trap 15` resets
	}
	status := 0
	for _, text := range names {
		name, ok := signalName(text)
		if !ok {
			s.complain("trap: %s: bad trap", text)
			status = 1
			continue
		}
		s.setTrap(name, action)
	}
	return status
}

func (s *Shell) setTrap(name, action string) {
	sig, isSignal := signalOf(name)
	switch action {
	case "-":
		delete(s.traps, name)
		if isSignal {
			signal.Reset(sig)
			s.defaults()
		}
	case "":
		s.traps[name] = ""
		if isSignal {
			signal.Ignore(sig)
		}
	default:
		s.traps[name] = action
		if isSignal {
			signal.Notify(s.signals, sig)
		}
	}
}

// defaults asks for the signals a shell must survive without a trap: all of them as process 1, INT, QUIT and TERM at a prompt.
func (s *Shell) defaults() {
	BecomeFirst()
	if s.set.interactive {
		signal.Notify(s.signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	}
}

// runTraps acts on signals that have arrived, between commands.
func (s *Shell) runTraps() {
	for !s.inTrap {
		select {
		case sig := <-s.signals:
			s.runTrap(sig)
		default:
			return
		}
	}
}

func (s *Shell) runTrap(sig os.Signal) {
	name := strings.TrimPrefix(unix.SignalName(sig.(syscall.Signal)), "SIG")
	action := s.traps[name]
	if action == "" {
		return
	}
	status := s.status
	s.inTrap = true
	s.eval(action)
	s.inTrap = false
	if s.flow.kind == flowNone {
		s.status = status
	}
}

// settle gives a signal that `kill` sent to this shell the moment it takes to arrive, so that a trap runs before the next command.
func (s *Shell) settle(argv []string) {
	if argv[0] != "kill" || s.status != 0 || !slices.Contains(argv[1:], strconv.Itoa(os.Getpid())) {
		return
	}
	select {
	case sig := <-s.signals:
		s.runTrap(sig)
	case <-time.After(20 * time.Millisecond):
	}
}

// waitBuiltin waits for jobs; a trapped signal ends the wait at once with 128 and its number (POSIX 2.11).
func (s *Shell) waitBuiltin(argv []string) int {
	pids := s.children.pids()
	if len(argv) > 1 {
		pids = nil
		for _, text := range argv[1:] {
			pid, ok := atoi(strings.TrimPrefix(text, "%"))
			if !ok {
				s.complain("wait: %s: bad number", text)
				return 2
			}
			pids = append(pids, pid)
		}
	}
	status := 0
	for _, pid := range pids {
		if !slices.Contains(s.children.pids(), pid) {
			status = 127
			continue
		}
		got, interrupted := s.waitJob(pid)
		if interrupted {
			return got
		}
		status = got
	}
	if len(argv) == 1 {
		return 0
	}
	return status
}

func (s *Shell) waitJob(pid int) (int, bool) {
	for {
		if status, ok := s.children.take(pid); ok {
			return status, false
		}
		select {
		case <-s.children.ended:
		case sig := <-s.signals:
			number := sig.(syscall.Signal)
			s.runTrap(sig)
			if s.flow.kind != flowNone {
				return s.status, true
			}
			return 128 + int(number), true
		}
	}
}

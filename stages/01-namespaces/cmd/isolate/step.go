package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// errStopped is what q means.
var errStopped = errors.New("stopped")

// stepper stops before each step until a key is pressed.
type stepper struct {
	in      io.Reader
	out     io.Writer
	free    bool // run to the end
	restore func()
}

// newStepper uses the terminal itself, so that the program keeps its standard input, and takes single keys from it. Without a
// terminal it reads standard input and writes to standard error.
func newStepper() *stepper {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return &stepper{in: os.Stdin, out: os.Stderr, restore: func() {}}
	}
	s := &stepper{in: tty, out: tty, restore: func() {}}
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return s
	}
	keys := *before
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &keys) == nil {
		s.restore = func() { _ = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, before) } // as good as can be at the end
	}
	return s
}

// before shows a step and waits for a key: q ends the launch, r runs the rest, all others perform the step. The end of the input
// is r.
func (s *stepper) before(n int, step launch.Step) error {
	if s.free {
		return nil
	}
	fmt.Fprintf(s.out, "%2d %-6s %s\n          %s\n", n+1, step.Side, step.Name, step.Because)
	if pid := child(); pid != "" {
		fmt.Fprintf(s.out, "          process %s waits: look at /proc/%s from another terminal\n", pid, pid)
	}
	fmt.Fprint(s.out, "          [any key: do it   r: run the rest   q: quit] ")
	defer fmt.Fprintln(s.out)
	key := make([]byte, 1)
	_, err := s.in.Read(key)
	switch {
	case errors.Is(err, io.EOF) || err == nil && key[0] == 'r':
		s.free = true
	case err != nil:
		return err
	case key[0] == 'q':
		return errStopped
	}
	if s.free || strings.HasPrefix(step.Name, "execve") { // the program shall find the terminal as it was
		s.restore()
	}
	return nil
}

// child is the process that the steps have made so far. The one that made it is a thread of ours.
func child() string {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		if b, err := os.ReadFile(list); err == nil && len(strings.Fields(string(b))) > 0 {
			return strings.Fields(string(b))[0]
		}
	}
	return ""
}

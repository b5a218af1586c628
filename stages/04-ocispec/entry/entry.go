// Package entry is where slipway-runtime begins, before Go does. Importing it, and linking with
// -ldflags '-E PATH/entry.entry' (cmd/link; the Makefile does), is all.
//
// A program that lives for ten milliseconds pays for what the Go runtime prepares for long ones: a monitor that wakes every 20 µs
// (sysmon), and a thread for each processor that looks for work. On machines whose entry point is written, two things are
// done about that, at the price of two system calls:
//
//   - the first thread gets 4 ms of timer slack (PR_SET_TIMERSLACK(2const)), which the monitor's thread inherits;
//   - the environment gets GOMAXPROCS=1.
//
// Neither may reach a container or a hook. So the main goroutine stays on the first thread, which is given back what it had, and
// whoever starts a process does it there, or on a thread that takes the caller's slack (package launch).
package entry

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// given is what the process was started with, as the code at the entry point finds it; all zero where that does not run.
var given struct {
	ran   uint64
	slack uint64 // ns
}

// Failed is why the first thread did not get back what it had. nil: it did, or it never lost it.
var Failed = settle() // in an initialiser, because there the main goroutine is on the first thread for sure (package runtime)

func settle() error {
	if given.ran == 0 {
		return nil
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(given.slack), 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_TIMERSLACK: %w", err)
	}
	return os.Unsetenv("GOMAXPROCS")
}

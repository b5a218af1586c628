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
// Neither may reach a container or a hook: whoever starts a process gives it Slack, and whoever passes the environment on takes
// GOMAXPROCS out of it first. The package imports nothing, so that package readonly, which asks it, can come first of all.
package entry

// given is what the code at the entry point finds; all zero where that does not run.
var given struct {
	ran      uint64
	slack    uint64 // ns
	readonly uint64
}

// Here, as the first package is initialised, there is next to nothing on the stack that would be copied.
var _ = grown()

func grown() bool { grow(); return true }

// Ran tells whether the process began here.
func Ran() bool { return given.ran != 0 }

// ReadOnly tells whether it was found that this program's file lies on a read-only mount, for a verb that asks for that.
func ReadOnly() bool { return given.readonly != 0 }

// Slack is the timer slack that a process begins with which is started for somebody else, in ns; 0: that of the thread that
// starts it.
func Slack() uint64 { return given.slack }

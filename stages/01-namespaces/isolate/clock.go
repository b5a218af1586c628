package isolate

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// Clock is how far the clocks of a new time namespace are shifted, in seconds
// (time_namespaces(7)).
type Clock struct{ Monotonic, Boottime int64 }

// steps make the namespace, set its offsets, and enter it. The kernel takes
// offsets only while no process is inside, so this cannot be part of clone3.
func (c Clock) steps() []launch.Step {
	if c == (Clock{}) {
		return nil
	}
	text := fmt.Sprintf("monotonic %d 0\nboottime %d 0\n", c.Monotonic, c.Boottime)
	return []launch.Step{
		{
			Name: "make a time namespace for children", Side: launch.Child,
			Because: "time_namespaces(7): offsets are written before the first process enters",
			Code:    []launch.Instr{launch.Call(unix.SYS_UNSHARE, launch.Int(unix.CLONE_NEWTIME))},
		},
		{
			Name: "shift its clocks: " + strings.ReplaceAll(strings.TrimSpace(text), "\n", ", "), Side: launch.Child,
			Because: "/proc/PID/timens_offsets is writable until then",
			Code: []launch.Instr{
				open("/proc/self/timens_offsets", unix.O_WRONLY),
				launch.Call(unix.SYS_WRITE, slotFile, launch.Str(text), launch.Int(len(text))),
				launch.Call(unix.SYS_CLOSE, slotFile),
			},
		},
		{
			Name: "enter it", Side: launch.Child,
			Because: "setns(2) on /proc/self/ns/time_for_children; this process has one thread",
			Code: []launch.Instr{
				open("/proc/self/ns/time_for_children", unix.O_RDONLY),
				launch.Call(unix.SYS_SETNS, slotFile, launch.Int(unix.CLONE_NEWTIME)),
				launch.Call(unix.SYS_CLOSE, slotFile),
			},
		},
	}
}

func open(path string, flags uintptr) launch.Instr {
	at := launch.Int(^uintptr(99)) // AT_FDCWD is -100
	return launch.Call(unix.SYS_OPENAT, at, launch.Str(path), launch.Int(flags|unix.O_CLOEXEC), launch.Int(0)).Into(slotFile)
}

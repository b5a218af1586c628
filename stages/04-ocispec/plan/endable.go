package plan

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// ending are the signals that end a program which has no handlers for them (signal(7)).
var ending = [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}

// untilStartOrSignal waits for start's connection, and ends at a signal that would end any other process. The kernel drops such a
// signal when it is for the first process of a pid namespace without handlers (pid_namespaces(7)), but not while it is blocked: so
// `kill` works on a container that is only created.
func (c *compiler) untilStartOrSignal() launch.Step {
	signals, before, fds := launch.Buf(8), launch.Buf(8), launch.Buf(16)
	for _, s := range ending {
		signals.Data[(s-1)/8] |= 1 << ((s - 1) % 8)
	}
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 { // sigset_t is one long
		binary.BigEndian.PutUint64(signals.Data, binary.LittleEndian.Uint64(signals.Data))
	}
	binary.NativeEndian.PutUint32(fds.Data, uint32(3+c.req.PreserveFDs)) // two struct pollfd, poll(2)
	binary.NativeEndian.PutUint16(fds.Data[4:], unix.POLLIN)
	binary.NativeEndian.PutUint16(fds.Data[12:], unix.POLLIN)
	came := binary.NativeEndian.Uint64([]byte{6: 0xff, 7: 0xff}) // revents of the second
	fd := c.slots.Take()
	return child("wait for start, or for a signal to end", "pid_namespaces(7): the first process inside has no default reactions; signalfd(2)",
		launch.Call(unix.SYS_RT_SIGPROCMASK, launch.Int(unix.SIG_BLOCK), signals, before, launch.Int(8)),
		launch.Call(unix.SYS_SIGNALFD4, launch.Int(^uintptr(0)), signals, launch.Int(8), launch.Int(unix.SFD_CLOEXEC)).Into(fd),
		launch.Store(fds, 8, fd),
		launch.Call(unix.SYS_PPOLL, fds, launch.Int(2), launch.Int(0), launch.Int(0), launch.Int(0)).At("again").On(unix.EINTR, "again"),
		launch.Expect(fds, 8, came, 0, unix.ECANCELED),
		launch.Call(unix.SYS_CLOSE, fd),
		launch.Call(unix.SYS_RT_SIGPROCMASK, launch.Int(unix.SIG_SETMASK), before, launch.Int(0), launch.Int(8)))
}

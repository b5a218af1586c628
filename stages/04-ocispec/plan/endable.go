package plan

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// ending are the signals that end a program which has no handlers for them (signal(7)).
var ending = [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}

// defaultActions lets go of what nohup(1) and others had us ignore: a program inherits that (signal(7)), and engines are started in many
// ways. Go handles all signals but these two, even then (os/signal), and execve gives handled ones their default action.
func defaultActions() launch.Step {
	action := launch.Buf(32) // struct sigaction of the kernel's, at most: SIG_DFL, no flags
	reset := func(s unix.Signal) launch.Instr {
		return launch.Call(unix.SYS_RT_SIGACTION, launch.Int(s), action, launch.Int(0), launch.Int(8))
	}
	return child("ignore neither SIGHUP nor SIGINT", "signal(7): a program inherits what we were told to ignore", reset(unix.SIGHUP), reset(unix.SIGINT))
}

// holdBack blocks those signals. The kernel drops them when they are for the first process of a pid namespace without handlers
// (pid_namespaces(7)), but not while they are blocked: so `kill` works on a container that is only created.
func (c *compiler) holdBack() launch.Step {
	c.signals, c.mask = launch.Buf(8), launch.Buf(8)
	for _, s := range ending {
		c.signals.Data[(s-1)/8] |= 1 << ((s - 1) % 8)
	}
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 { // sigset_t is one long
		binary.BigEndian.PutUint64(c.signals.Data, binary.LittleEndian.Uint64(c.signals.Data))
	}
	return child("hold back the signals that end a program", "pid_namespaces(7): to the first process inside they would be lost",
		launch.Call(unix.SYS_RT_SIGPROCMASK, launch.Int(unix.SIG_BLOCK), c.signals, c.mask, launch.Int(8)))
}

// untilStartOrSignal waits for start's connection, and ends at one of the signals held back. The program gets the mask that was there before.
func (c *compiler) untilStartOrSignal() launch.Step {
	fds := launch.Buf(16) // two struct pollfd, poll(2)
	binary.NativeEndian.PutUint32(fds.Data, uint32(3+c.req.PreserveFDs))
	binary.NativeEndian.PutUint16(fds.Data[4:], unix.POLLIN)
	binary.NativeEndian.PutUint16(fds.Data[12:], unix.POLLIN)
	came := binary.NativeEndian.Uint64([]byte{6: 0xff, 7: 0xff}) // revents of the second
	fd := c.slots.Take()
	return child("wait for start, or for a signal to end", "signalfd(2); runtime-spec runtime.md: kill is for created containers too",
		launch.Call(unix.SYS_SIGNALFD4, launch.Int(^uintptr(0)), c.signals, launch.Int(8), launch.Int(unix.SFD_CLOEXEC)).Into(fd),
		launch.Store(fds, 8, fd),
		launch.Call(unix.SYS_PPOLL, fds, launch.Int(2), launch.Int(0), launch.Int(0), launch.Int(0)).At("again").On(unix.EINTR, "again"),
		launch.Expect(fds, 8, came, 0, unix.ECANCELED),
		launch.Call(unix.SYS_CLOSE, fd),
		launch.Call(unix.SYS_RT_SIGPROCMASK, launch.Int(unix.SIG_SETMASK), c.mask, launch.Int(0), launch.Int(8)))
}

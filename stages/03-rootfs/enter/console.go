package enter

import (
	"encoding/binary"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// Console asks for a pseudo terminal as the program's standard streams.
type Console struct {
	Rows, Columns uint16
	Socket        launch.Slot // a connected unix socket that gets the master (--console-socket)
	Fresh         bool        // make /dev/console too: a new container, not an exec
	UID           uint32      // who owns the terminal
}

// ConsoleSlots hold both ends of the terminal.
type ConsoleSlots struct{ Master, Terminal launch.Slot }

// console makes a terminal in the container's own devpts and shows it as /dev/console.
func (r *Root) console() []launch.Step {
	steps := []launch.Step{child("make a terminal in the container's /dev/pts", "pts(4); TIOCGPTPEER opens its other end without a path (CVE-2025-52565)",
		OpenTerminal(r.root, r.ConsoleSlots, *r.Console)...)}
	return append(steps,
		child("bind the terminal on /dev/console", "runtime-spec config-linux.md, default devices", append(r.openOutsideProc(nil, "/dev/console", file),
			clone(r.Terminal, 0, r.tree), attach(r.tree, r.target), closeSlot(r.tree), closeSlot(r.target))...),
	)
}

// OpenTerminal opens a new pair below the root in a register: the multiplexer must be a real device node, reached without
// links, because an image could put anything there.
func OpenTerminal(root launch.Slot, s ConsoleSlots, c Console) []launch.Instr {
	unlock := memory(0)
	code := []launch.Instr{openIn(root, "dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, inRoot|unix.RESOLVE_NO_SYMLINKS, s.Master, "open")}
	code = append(code, expectDevice(s.Master, unix.S_IFCHR, 5, 2)...)
	code = append(code,
		launch.Call(unix.SYS_IOCTL, s.Master, launch.Int(unix.TIOCSPTLCK), unlock),
		launch.Call(unix.SYS_IOCTL, s.Master, launch.Int(unix.TIOCGPTPEER), launch.Int(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).Into(s.Terminal))
	if c.Rows != 0 || c.Columns != 0 {
		size := memory(0)
		binary.NativeEndian.PutUint16(size.Data[0:], c.Rows)
		binary.NativeEndian.PutUint16(size.Data[2:], c.Columns)
		code = append(code, launch.Call(unix.SYS_IOCTL, s.Master, launch.Int(unix.TIOCSWINSZ), size))
	}
	return code
}

// SendMaster passes the terminal's master over a socket, as SCM_RIGHTS (unix(7)), and makes the other end the controlling
// terminal and standard streams of the process, which must lead a session.
func SendMaster(s ConsoleSlots, c Console) launch.Step {
	message, control := rights("/dev/ptmx")
	return child("send the terminal's master away, use its other end", "unix(7) SCM_RIGHTS; ioctl_tty(2) TIOCSCTTY",
		launch.Store(control, 16, s.Master),
		launch.Call(unix.SYS_SENDMSG, c.Socket, message, launch.Int(unix.MSG_NOSIGNAL)),
		closeSlot(s.Master),
		launch.Call(unix.SYS_IOCTL, s.Terminal, launch.Int(unix.TIOCSCTTY), launch.Int(0)),
		launch.Call(unix.SYS_DUP3, s.Terminal, launch.Int(0), launch.Int(0)),
		launch.Call(unix.SYS_DUP3, s.Terminal, launch.Int(1), launch.Int(0)),
		launch.Call(unix.SYS_DUP3, s.Terminal, launch.Int(2), launch.Int(0)),
		closeSlot(s.Terminal),
		launch.Call(unix.SYS_FCHOWN, launch.Int(0), launch.Int(c.UID), launch.Int(^uint32(0))).Or(unix.EPERM, unix.EINVAL),
	)
}

// rights lays out a struct msghdr with one byte string and room for one descriptor, at offset 16 of control.
func rights(text string) (message, control *launch.Mem) {
	data := &launch.Mem{Data: []byte(text)}
	iov := memory(0, uint64(len(text)))
	iov.Ptr = map[int]*launch.Mem{0: data}
	control = memory(20, 0, 0) // cmsg_len 16+4; level and type follow
	binary.NativeEndian.PutUint32(control.Data[8:], unix.SOL_SOCKET)
	binary.NativeEndian.PutUint32(control.Data[12:], unix.SCM_RIGHTS)
	message = memory(0, 0, 0, 1, 0, 24, 0) // name, namelen, iov, iovlen, control, controllen, flags
	message.Ptr = map[int]*launch.Mem{16: iov, 32: control}
	return message, control
}

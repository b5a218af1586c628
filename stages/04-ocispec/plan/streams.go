package plan

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// ownNull puts the container's own /dev/null in the place of the host's among the standard streams, as runc does: a checkpoint
// could not name the host's (criu: "Can't lookup mount"). What is opened must be the real device, reached without links: the
// image could have put anything there (CVE-2026-88265).
func (c *compiler) ownNull() []launch.Step {
	if c.root == nil || len(c.root.Devices) == 0 {
		return nil
	}
	null := c.temporary()
	how := launch.Buf(24) // struct open_how
	binary.NativeEndian.PutUint64(how.Data, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	binary.NativeEndian.PutUint64(how.Data[16:], unix.RESOLVE_NO_SYMLINKS)
	var code []launch.Instr
	for fd := range launch.Int(3) {
		next := launch.Label(fmt.Sprint("after ", fd))
		opened := launch.Label(fmt.Sprint("opened ", fd))
		code = append(code, isNull(fd, next)...)
		code = append(code, launch.Call(unix.SYS_OPENAT2, atCwd, launch.Str("/dev/null"), how, launch.Int(24)).Into(null).
			On(unix.ENOENT, next).On(unix.EACCES, next).On(unix.ELOOP, next).On(unix.EPERM, next).Goto(opened))
		first := isNull(null, next)
		first[0] = first[0].At(opened)
		code = append(code, first...)
		code = append(code,
			launch.Call(unix.SYS_FCNTL, null, launch.Int(unix.F_SETFL), launch.Int(0)),
			launch.Call(unix.SYS_DUP3, null, fd, launch.Int(0)),
			launch.Call(unix.SYS_CLOSE, null),
			launch.Jump("").At(next))
	}
	return []launch.Step{child("use the container's own /dev/null as standard stream", "runc does it; a checkpoint cannot name the host's; verified to be the device (CVE-2026-88265)", code...)}
}

// isNull jumps to the label unless the descriptor is character device 1:3.
func isNull(fd launch.Arg, other launch.Label) []launch.Instr {
	st := launch.Buf(256)
	var rdev [8]byte // stx_rdev_major and stx_rdev_minor, at offset 128
	binary.NativeEndian.PutUint32(rdev[:], 1)
	binary.NativeEndian.PutUint32(rdev[4:], 3)
	return []launch.Instr{
		launch.Call(unix.SYS_STATX, fd, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), launch.Int(unix.STATX_BASIC_STATS), st).On(unix.EBADF, other),
		launch.Expect(st, 24, modeWord(unix.S_IFMT), modeWord(unix.S_IFCHR), syscall.ENXIO).On(syscall.ENXIO, other),
		launch.Expect(st, 128, ^uint64(0), binary.NativeEndian.Uint64(rdev[:]), syscall.ENXIO).On(syscall.ENXIO, other),
	}
}

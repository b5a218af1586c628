package enter

import (
	"encoding/binary"
	"syscall"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// atCwd is AT_FDCWD, -100, as a system call's argument.
const atCwd = launch.Int(^uintptr(99))

// memory lays 64-bit words out as the kernel reads them.
func memory(words ...uint64) *launch.Mem {
	data := make([]byte, 0, 8*len(words))
	for _, w := range words {
		data = binary.NativeEndian.AppendUint64(data, w)
	}
	return &launch.Mem{Data: data}
}

// openHow is struct open_how of openat2(2).
func openHow(flags uint64, resolve uint64) *launch.Mem { return memory(flags, 0, resolve) }

const openHowSize = 24

// inRoot keeps the resolution of a path inside the root file system, whatever its links say (openat2(2)).
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// openIn opens a path below a directory's descriptor. EAGAIN means that a rename raced with a ".."; openat2(2) says to try again.
func openIn(root launch.Slot, path string, flags, resolve uint64, into launch.Slot, label launch.Label) launch.Instr {
	return launch.Call(unix.SYS_OPENAT2, root, launch.Str(path), openHow(flags|unix.O_CLOEXEC, resolve), launch.Int(openHowSize)).
		Into(into).At(label).On(unix.EAGAIN, label)
}

// setattr is mount_setattr(2) on a mount's descriptor.
func setattr(fd launch.Slot, flags uintptr, set, clear, propagation uint64) launch.Instr {
	return launch.Call(unix.SYS_MOUNT_SETATTR, fd, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH|flags),
		memory(set, clear, propagation, 0), launch.Int(32))
}

// clone is open_tree(2): a detached copy of the mount that a descriptor refers to.
func clone(fd launch.Slot, flags uintptr, into launch.Slot) launch.Instr {
	return launch.Call(unix.SYS_OPEN_TREE, fd, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|flags)).Into(into)
}

// attach is move_mount(2) of a detached mount onto a descriptor.
func attach(tree, target launch.Slot) launch.Instr {
	return launch.Call(unix.SYS_MOVE_MOUNT, tree, launch.Str(""), target, launch.Str(""), launch.Int(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// attachBind is attach, and says ENOTDIR when one is a directory and the other is not, as mount(2) does; move_mount(2) has EINVAL
// for that, too.
func attachBind(tree, target launch.Slot) []launch.Instr {
	st := launch.Buf(statxSize)
	var mask, dir [8]byte
	binary.NativeEndian.PutUint16(mask[4:], unix.S_IFMT)
	binary.NativeEndian.PutUint16(dir[4:], unix.S_IFDIR)
	return []launch.Instr{
		attach(tree, target).On(unix.EINVAL, "why").Goto("attached"),
		launch.Call(unix.SYS_STATX, target, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), launch.Int(unix.STATX_BASIC_STATS), st).At("why"),
		launch.Expect(st, statxMode, binary.NativeEndian.Uint64(mask[:]), binary.NativeEndian.Uint64(dir[:]), syscall.ENXIO).On(syscall.ENXIO, "no directory"),
		launch.Call(unix.SYS_STATX, tree, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), launch.Int(unix.STATX_BASIC_STATS), st),
		launch.Expect(st, statxMode, binary.NativeEndian.Uint64(mask[:]), binary.NativeEndian.Uint64(dir[:]), syscall.ENOTDIR), // a file on a directory
		attach(tree, target).At("no directory"),
		launch.Jump("").At("attached"),
	}
}

func closeSlot(s launch.Slot) launch.Instr { return launch.Call(unix.SYS_CLOSE, s) }

// Positions in struct statx (statx(2)), the same on every architecture.
const (
	statxSize = 256
	statxMode = 24 // the word that holds gid and mode
	statxRdev = 128
)

// expectDevice fails with ENXIO unless a descriptor is the device node with these numbers: whoever could put another file in
// its place would have it mounted (CVE-2025-31133).
func expectDevice(fd launch.Slot, kind uint32, major, minor uint32) []launch.Instr {
	st := launch.Buf(statxSize)
	var mask, mode, rdev [8]byte
	binary.NativeEndian.PutUint16(mask[4:], unix.S_IFMT)
	binary.NativeEndian.PutUint16(mode[4:], uint16(kind))
	binary.NativeEndian.PutUint32(rdev[0:], major)
	binary.NativeEndian.PutUint32(rdev[4:], minor)
	word := binary.NativeEndian.Uint64
	return []launch.Instr{
		launch.Call(unix.SYS_STATX, fd, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), launch.Int(unix.STATX_BASIC_STATS), st),
		launch.Expect(st, statxMode, word(mask[:]), word(mode[:]), syscall.ENXIO),
		launch.Expect(st, statxRdev, ^uint64(0), word(rdev[:]), syscall.ENXIO),
	}
}

// statfsSize is enough for struct statfs (statfs(2)), whose first word is the file system's type.
const statfsSize = 128

// expectType fails with EPERM unless a descriptor's file system is of a type.
func expectType(fd launch.Slot, magic uint64) []launch.Instr {
	st := launch.Buf(statfsSize)
	return []launch.Instr{launch.Call(unix.SYS_FSTATFS, fd, st), launch.Expect(st, 0, ^uint64(0), magic, syscall.EPERM)}
}

// refuseType fails with EPERM when it is.
func refuseType(fd launch.Slot, magic uint64) []launch.Instr {
	st := launch.Buf(statfsSize)
	return []launch.Instr{
		launch.Call(unix.SYS_FSTATFS, fd, st),
		launch.Expect(st, 0, ^uint64(0), magic, syscall.ENXIO).On(syscall.ENXIO, "another type"),
		launch.Expect(st, 0, 0, 1, syscall.EPERM),
		launch.Jump("").At("another type"),
	}
}

package launch

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// HandOver is GiveOver for somebody who may not fetch the child's descriptor: an ordinary user, because the child is undumpable
// (ptrace(2), access mode checking; pidfd_getfd(2)). The descriptor goes with the message, which takes sendmsg(2) instead of write(2).
func HandOver(socket, s Slot) []Instr {
	code := GiveOver(socket, s)
	data := code[1].Args[1].(*Mem)
	return append(append(code[:1:1], sendRights(socket, data, s)...), code[2:]...)
}

// SendDescriptor sends what the slot holds to the other end of a socket, and waits for nothing.
func SendDescriptor(socket, s Slot) []Instr { return sendRights(socket, Buf(1), s) }

// sendRights sends data and one descriptor (unix(7), SCM_RIGHTS).
func sendRights(socket Slot, data *Mem, s Slot) []Instr {
	iov := words(0, uint64(len(data.Data)))
	iov.Ptr = map[int]*Mem{0: data}
	const header = 16 + 4 // cmsg_len of one descriptor
	control := words(header, 0, 0)
	binary.NativeEndian.PutUint32(control.Data[8:], unix.SOL_SOCKET)
	binary.NativeEndian.PutUint32(control.Data[12:], unix.SCM_RIGHTS)
	message := words(0, 0, 0, 1, 0, uint64(len(control.Data)), 0) // name, namelen, iov, iovlen, control, controllen, flags
	message.Ptr = map[int]*Mem{16: iov, 32: control}
	return []Instr{
		Store(control, 16, s),
		Call(unix.SYS_SENDMSG, socket, message, Int(unix.MSG_NOSIGNAL)),
	}
}

package reap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// childPid reads si_pid, which x/sys leaves inside the union of siginfo_t
// (sigaction(2)): it is the first field after signo, errno and code, aligned to
// a pointer.
func childPid(info *unix.Siginfo) int {
	const head = 3 * unsafe.Sizeof(int32(0))
	const align = unsafe.Sizeof(uintptr(0))
	const offset = (head + align - 1) / align * align
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

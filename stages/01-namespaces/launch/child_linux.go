package launch

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime's own hooks around fork. They block all signals before the
// clone and give the child default handlers and the old mask after it. The Go
// source keeps these names reachable because gVisor links to them
// (src/runtime/proc.go, syscall_runtime_BeforeFork). The empty stub.s beside
// this file makes the compiler accept functions without a body.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// cloneArgs is struct clone_args of clone3(2), version 2 (88 bytes).
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal   uint64
	stack, stackSize, tls, setTid, setTidSize, cgrp uint64
}

// child is everything that the new process touches, allocated before the clone.
type child struct {
	ops      *op
	n        uintptr
	slots    *[maxSlots]uintptr
	progress *uint64 // shared with the parent: the step being performed
	slack    uintptr // Options.TimerSlack
	rec      record
	pidfd    int32 // of the child; the kernel fills it in for the parent
}

// spawn makes the child and, in it, walks the instructions. It returns in the
// parent alone.
//
// Law of this function: in the child there is one thread, no scheduler and no
// garbage collector. It must not grow its stack, allocate, take a lock, or call
// anything but raw system calls; it ends in execve or exit_group.
//
//go:noinline
//go:norace
//go:nosplit
//go:nocheckptr
func spawn(ca *cloneArgs, c *child) (pid uintptr, errno syscall.Errno) {
	beforeFork() // from here on the goroutine stays on this thread
	if c.slack != 0 {
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, c.slack, 0) // before the clone, since it becomes the child's default as well
	}
	ca.pidfd = uint64(uintptr(unsafe.Pointer(&c.pidfd))) // a number, which nobody adjusts: taken where the stack cannot move any more
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(ca)), unsafe.Sizeof(*ca), 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	afterForkInChild()
	report := c.slots[slotTalk]
	for i := uintptr(0); i < c.n; {
		o := (*op)(unsafe.Add(unsafe.Pointer(c.ops), i*unsafe.Sizeof(op{})))
		*c.progress = uint64(o.step)
		a := o.args
		for j := range a {
			if o.slots&(1<<j) != 0 {
				a[j] = c.slots[a[j]&(maxSlots-1)]
			}
		}
		var result uintptr
		errno = 0
		switch o.call {
		case callJump:
		case callReport:
			report = a[0]
		case callStore:
			**(**uint32)(unsafe.Pointer(&a[0])) = uint32(a[2])
		case callLoad:
			result = uintptr(**(**uint32)(unsafe.Pointer(&a[0])))
		case callNeed:
			if a[0] == 0 {
				errno = unix.EPIPE
			}
		case callExpect:
			if **(**uint64)(unsafe.Pointer(&a[0]))&uint64(a[2]) != uint64(a[3]) {
				errno = syscall.Errno(a[4])
			}
		default:
			result, _, errno = syscall.RawSyscall6(o.call, a[0], a[1], a[2], a[3], a[4], a[5])
		}
		next := uintptr(o.next)
		if errno != 0 {
			next = 0 // no branch leads backwards to the first op
			for j := uint8(0); j < o.nbranch; j++ {
				if o.branches[j].errno == uint32(errno) {
					next = uintptr(o.branches[j].to)
				}
			}
			if next == 0 {
				c.rec.step, c.rec.errno = uint64(o.step), uint64(errno)
				syscall.RawSyscall6(unix.SYS_SENDTO, report, uintptr(unsafe.Pointer(&c.rec)), unsafe.Sizeof(c.rec), unix.MSG_NOSIGNAL, 0, 0)
				break
			}
		}
		if o.result != 0 {
			c.slots[o.result&(maxSlots-1)] = result
		}
		i = next
	}
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, exitSetup, 0, 0)
	}
}

// exitSetup is the status of a child that did not reach its execve.
const exitSetup = 125

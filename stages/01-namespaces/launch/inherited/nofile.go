// Package inherited remembers what this process was given before the Go runtime
// changed it.
package inherited

import (
	"runtime"
	"unsafe"
)

// Rlimit is struct rlimit64 of prlimit(2).
type Rlimit struct{ Cur, Max uint64 }

// Nofile is RLIMIT_NOFILE as it was before package syscall raised the soft limit
// to one below the hard one (syscall/rlimit.go). Packages are initialised in the
// order of their import paths as soon as their imports are, so this one comes
// before syscall as long as it does not import it (Go specification, "Package
// initialization"); hence the system call by linkname.
var Nofile = nofile()

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

// prlimit64 is the number of the system call (asm/unistd.h).
func prlimit64() uintptr {
	switch runtime.GOARCH {
	case "amd64":
		return 302
	case "ppc64le":
		return 325
	case "s390x":
		return 334
	}
	return 261 // arm64, riscv64
}

const rlimitNofile = 7 // asm-generic/resource.h

func nofile() Rlimit {
	l := new(Rlimit)
	rawSyscall6(prlimit64(), 0, rlimitNofile, 0, uintptr(unsafe.Pointer(l)), 0, 0)
	return *l
}

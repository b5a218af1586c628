// Package readonly executes this program once more through a read-only view of its own file, when the verb lets a container's
// program be executed. Importing it is all.
//
// An image can name /proc/self/exe as its program, or as a script's interpreter: then the kernel executes us inside the
// container, and whoever is root there could open our file by /proc/PID/exe and, once nobody runs it, write to it
// (CVE-2019-5736). Opened through a read-only mount it cannot be written: so copy the mount of our file, detached and
// read-only, and execute ourselves through it, once. Where the program lies on a read-only mount already, nothing is done; a
// caller that starts us often can arrange for that (stage 5 does).
//
// It happens while the first package variables are initialised, and with next to nothing imported: a Go program that has come
// as far as main has started threads and filled its heap, and to throw that away cost as much as half a container. Packages
// are initialised in the order of their import paths as soon as their imports are (Go specification, "Package
// initialization"); docs/adr/0005-own-program-read-only.md weighs the alternatives.
package readonly

import (
	"runtime"
	"unsafe"

	"github.com/slipway-engine/slipway/stages/04-ocispec/entry"
)

// Failure is a system call that did not do what it should.
type Failure struct {
	Call  string
	Errno uintptr
}

// Failed is why this program could not be executed again; then it must not start anything. nil: it was, or need not be.
var Failed = protect()

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

const (
	atFDCWD         = ^uintptr(99) // -100 (fcntl.h)
	atEmptyPath     = 0x1000
	wOK             = 2
	eperm           = 1
	enoent          = 2
	erofs           = 30
	openTreeClone   = 1
	openTreeCloexec = 0o2000000
	mountAttrRdonly = 1
	prSetName       = 15
)

// numbers are those of system calls that differ between machines (asm/unistd.h).
type numbers struct {
	geteuid, faccessat, prctl, execveat, openat, read, close uintptr
	memfdCreate, sendfile, fcntl, statx                      uintptr
}

const openTree, mountSetattr = 428, 442

func machine() numbers {
	switch runtime.GOARCH {
	case "amd64":
		return numbers{107, 269, 157, 322, 257, 0, 3, 319, 40, 72, 332}
	case "ppc64le":
		return numbers{49, 298, 171, 362, 286, 3, 6, 360, 186, 55, 383}
	case "s390x":
		return numbers{201, 300, 172, 354, 288, 3, 6, 350, 187, 55, 379}
	}
	return numbers{175, 48, 167, 281, 56, 63, 57, 279, 71, 25, 291} // arm64, riscv64 (asm-generic/unistd.h)
}

func protect() *Failure {
	if entry.ReadOnly() {
		return nil
	}
	nr, exe, empty := machine(), at("/proc/self/exe\x00"), at("\x00")
	argv := nr.words("/proc/self/cmdline\x00")
	switch {
	case len(argv) == 0:
		return &Failure{"open /proc/self/cmdline", enoent}
	case !starts(argv):
		return nil
	}
	if uid, _, _ := rawSyscall6(nr.geteuid, 0, 0, 0, 0, 0, 0); uid != 0 {
		return nr.sealed(uid, argv)
	}
	if _, _, errno := rawSyscall6(nr.faccessat, atFDCWD, exe, wOK, 0, 0, 0); errno == erofs {
		// older kernels have named us after the descriptor that we were executed by
		rawSyscall6(nr.prctl, prSetName, at("slipway-runtime\x00"), 0, 0, 0, 0)
		return nil
	}
	fd, _, errno := rawSyscall6(openTree, atFDCWD, exe, openTreeClone|openTreeCloexec, 0, 0, 0)
	if errno == eperm || errno == einval { // root of a user namespace, and the mount is not its own, or locked (mount_namespaces(7))
		return nr.sealed(0, argv)
	}
	if errno != 0 {
		return &Failure{"open_tree", errno}
	}
	attr := [4]uint64{mountAttrRdonly} // struct mount_attr
	if _, _, errno := rawSyscall6(mountSetattr, fd, empty, atEmptyPath, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0); errno != 0 {
		return &Failure{"mount_setattr", errno}
	}
	argp, envp := pointers(argv), pointers(nr.words("/proc/self/environ\x00"))
	_, _, errno = rawSyscall6(nr.execveat, fd, empty, uintptr(unsafe.Pointer(&argp[0])), uintptr(unsafe.Pointer(&envp[0])), atEmptyPath, 0)
	return &Failure{"execveat", errno}
}

// at is where a string constant is; it ends in a zero byte, as the kernel wants it.
func at(s string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(s))) }

// starts tells whether one of the arguments is a verb that starts something in a container.
func starts(argv [][]byte) bool {
	for _, a := range argv {
		if s := string(a); s == "create\x00" || s == "run\x00" || s == "exec\x00" || s == "restore\x00" {
			return true
		}
	}
	return false
}

// words are the strings in a file of procfs, each with the zero byte at its end.
func (nr numbers) words(name string) [][]byte {
	fd, _, errno := rawSyscall6(nr.openat, atFDCWD, at(name), 0, 0, 0, 0)
	if errno != 0 {
		return nil
	}
	text := make([]byte, 0, 4096)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		free := text[len(text):cap(text)]
		n, _, errno := rawSyscall6(nr.read, fd, uintptr(unsafe.Pointer(&free[0])), uintptr(len(free)), 0, 0, 0)
		if errno != 0 || n == 0 {
			break
		}
		text = text[:len(text)+int(n)]
	}
	rawSyscall6(nr.close, fd, 0, 0, 0, 0, 0)
	var list [][]byte
	for from, i := 0, 0; i < len(text); i++ {
		if text[i] == 0 {
			list = append(list, text[from:i+1])
			from = i + 1
		}
	}
	return list
}

// pointers is an array of strings as execve(2) takes it.
func pointers(list [][]byte) []*byte {
	p := make([]*byte, len(list)+1)
	for i, s := range list {
		p[i] = &s[0]
	}
	return p
}

package readonly

import "unsafe"

const (
	mfdCloexec, mfdAllowSealing, mfdExec = 1, 2, 0x10 // linux/memfd.h
	fAddSeals, fGetSeals                 = 1033, 1034 // linux/fcntl.h
	allSeals, sealWrite                  = 15, 8
	oCloexec                             = 0o2000000
	einval                               = 22
)

// sealed executes a copy of our file in memory that nobody can change any more (memfd_create(2), F_SEAL_WRITE). It is for an ordinary
// user who may write to the file or owns it, as one in the own home directory: root of the user's containers is that user, and an
// ordinary user can make no mount read-only.
func (nr numbers) sealed(uid uintptr, argv [][]byte) *Failure {
	exe, empty := at("/proc/self/exe\x00"), at("\x00")
	if !nr.writable(exe, uid) {
		return nil // so nobody inside may, either
	}
	file, _, errno := rawSyscall6(nr.openat, atFDCWD, exe, oCloexec, 0, 0, 0)
	if errno != 0 {
		return &Failure{"open /proc/self/exe", errno}
	}
	if seals, _, errno := rawSyscall6(nr.fcntl, file, fGetSeals, 0, 0, 0, 0); errno == 0 && seals&sealWrite != 0 {
		rawSyscall6(nr.close, file, 0, 0, 0, 0, 0)
		rawSyscall6(nr.prctl, prSetName, at("slipway-runtime\x00"), 0, 0, 0, 0)
		return nil
	}
	flags := uintptr(mfdCloexec | mfdAllowSealing | mfdExec)
	copied, _, errno := rawSyscall6(nr.memfdCreate, at("slipway-runtime\x00"), flags, 0, 0, 0, 0)
	if errno == einval { // before Linux 6.3 every one could be executed
		copied, _, errno = rawSyscall6(nr.memfdCreate, at("slipway-runtime\x00"), flags&^mfdExec, 0, 0, 0, 0)
	}
	if errno != 0 {
		return &Failure{"memfd_create", errno}
	}
	for n := uintptr(1); n > 0; {
		if n, _, errno = rawSyscall6(nr.sendfile, copied, file, 0, 1<<30, 0, 0); errno != 0 {
			return &Failure{"sendfile", errno}
		}
	}
	if _, _, errno := rawSyscall6(nr.fcntl, copied, fAddSeals, allSeals, 0, 0, 0); errno != 0 {
		return &Failure{"seal a copy of this program", errno}
	}
	argp, envp := pointers(argv), pointers(nr.words("/proc/self/environ\x00"))
	_, _, errno = rawSyscall6(nr.execveat, copied, empty, uintptr(unsafe.Pointer(&argp[0])), uintptr(unsafe.Pointer(&envp[0])), atEmptyPath, 0)
	return &Failure{"execveat", errno}
}

// writable tells whether the user may write to a file, or may allow it to itself, as its owner.
func (nr numbers) writable(name, uid uintptr) bool {
	if _, _, errno := rawSyscall6(nr.faccessat, atFDCWD, name, wOK, 0, 0, 0); errno == 0 {
		return true
	}
	const statxUID = 8
	var st [64]uint32 // struct statx; stx_uid is at offset 20
	_, _, errno := rawSyscall6(nr.statx, atFDCWD, name, 0, statxUID, uintptr(unsafe.Pointer(&st)), 0)
	return errno == 0 && uintptr(st[5]) == uid
}

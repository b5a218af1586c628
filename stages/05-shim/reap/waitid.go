package reap

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// siginfo is the head of siginfo_t as waitid(2) fills it on 64-bit Linux.
type siginfo struct {
	signo, errno, code, _ int32
	pid                   int32
	uid                   uint32
	status                int32
	_                     [100]byte
}

// Values of si_code for SIGCHLD (sigaction(2)).
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// waitID is waitid(2). pid is 0 when nothing has changed and WNOHANG was asked.
func waitID(idType, id, options int, exit *Exit) (pid int, err error) {
	var info siginfo
	for {
		err = unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&info)), options, nil)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil || info.pid == 0 {
		return 0, err
	}
	if exit != nil {
		*exit = Exit{Status: exitStatus(info.code, info.status), At: time.Now()}
	}
	return int(info.pid), nil
}

// exitStatus folds a signal into one number the way shells do: 128 + its number.
func exitStatus(code, status int32) int {
	if code == cldKilled || code == cldDumped {
		return 128 + int(status)
	}
	return int(status)
}

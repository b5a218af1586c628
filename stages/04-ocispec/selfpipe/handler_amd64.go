package selfpipe

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is struct sigaction as rt_sigaction(2) takes it on x86-64 (asm/signal.h).
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const (
	saRestorer = 0x04000000
	saOnStack  = 0x08000000 // the Go runtime gives every thread a stack for handlers
	saRestart  = 0x10000000
)

// target is the descriptor that the handler writes to.
//
//lint:ignore U1000 the handler reads it
var target int32

// addresses are where the handler and what it returns to begin.
func addresses() (handler, restorer uintptr)

// deliver installs the handler. stop installs what was there before.
func deliver(fd int, signals []unix.Signal) (stop func() error, err error) {
	target = int32(fd)
	ours := action{flags: saRestorer | saOnStack | saRestart, mask: ^uint64(0)}
	ours.handler, ours.restorer = addresses()
	before := make(map[unix.Signal]*action, len(signals))
	stop = func() error {
		var err error
		for s, a := range before {
			err = errors.Join(err, sigaction(s, a, nil))
		}
		return err
	}
	for _, s := range signals {
		old := new(action)
		if err := sigaction(s, &ours, old); err != nil {
			return nil, errors.Join(err, stop())
		}
		before[s] = old
	}
	return stop, nil
}

func sigaction(s unix.Signal, a, old *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(a)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(a.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("rt_sigaction %v: %w", s, errno)
	}
	return nil
}

package launch

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// StepError is the failure of one step. errors.Is sees through it to the
// child's errno, although that happened in another process.
type StepError struct {
	N    int    // the step's number, from 1 as explain prints it
	Step string // its name
	Side Side
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

func (e *StepError) Unwrap() error { return e.Err }

// fail names the step at index n as the one that ended with err.
func (p *Plan) fail(n int, err error) *StepError {
	s := p.Steps[n]
	return &StepError{N: n + 1, Step: s.Name, Side: s.Side, Err: err}
}

// Report decodes what a child sent through its start gate: the index of the
// step into Plan.Steps, and the errno. Silence (end of file) means that execve
// succeeded.
func Report(b []byte) (step int, errno syscall.Errno, err error) {
	if len(b) != recordSize {
		return 0, 0, fmt.Errorf("a report of %d bytes, want %d", len(b), recordSize)
	}
	var r record
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), recordSize), b)
	return int(r.step), syscall.Errno(r.errno), nil
}

// Gift decodes what a child sent together with the contents of a slot (Step.Gives, or GiveOver). false: it is a plain report.
func Gift(b []byte) (value uintptr, ok bool) {
	if len(b) != giftSize {
		return 0, false
	}
	var g gift
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&g)), giftSize), b)
	return uintptr(g.value), true
}

// GiveOver tells a slot's contents to whoever is at the other end of a socket, and waits for one byte, 1: go on. Anything else
// is EPIPE. Behind the start gate nobody listens who could perform a parent step; this is the same for whoever called start.
func GiveOver(socket, s Slot) []Instr {
	m, answer := Buf(giftSize), Buf(8)
	var mask, one [8]byte
	mask[0], one[0] = 0xff, 1
	return []Instr{
		Store(m, recordSize, s),
		Call(unix.SYS_WRITE, socket, m, Int(giftSize)),
		Call(unix.SYS_READ, socket, answer, Int(1)),
		Expect(answer, 0, binary.NativeEndian.Uint64(mask[:]), binary.NativeEndian.Uint64(one[:]), syscall.EPIPE),
	}
}

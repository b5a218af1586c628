package launch

import (
	"fmt"
	"syscall"
	"unsafe"
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

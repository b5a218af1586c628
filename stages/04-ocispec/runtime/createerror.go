package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// startError words a failed launch as runc does: dockerd and containerd look for these words.
func startError(s *specs.Spec, err error) error {
	if err == nil {
		return nil
	}
	if step, ok := errors.AsType[*launch.StepError](err); ok {
		return fmt.Errorf("unable to start container process: %w", mountError(s, step.Step, schedulerError(s, step.Step, programError(s.Process.Args[0], step.Step, err))))
	}
	return err
}

// ProgramError says that the container's program could not be found or executed. Err is the kernel's errno (execve(2)).
type ProgramError struct {
	Program string // as config.json names it
	Err     error
	text    string
}

func (e *ProgramError) Error() string { return e.text }

func (e *ProgramError) Unwrap() error { return e.Err }

// programError turns the failure to find or to execute the program into the words of Go's os/exec, which runc shows.
func programError(program, step string, err error) error {
	if !strings.HasPrefix(step, plan.FindProgram) && !strings.HasPrefix(step, "execve ") {
		return profileError(step, err)
	}
	cause := errors.Unwrap(err)
	if e, ok := errors.AsType[*launch.StepError](err); ok {
		cause = e.Err
	}
	text := fmt.Sprintf("exec: %q: %v", program, cause)
	switch {
	case errors.Is(cause, unix.ENOENT) && !strings.Contains(program, "/"):
		text = fmt.Sprintf("exec: %q: executable file not found in $PATH", program)
	case errors.Is(cause, unix.ENOENT) && !strings.HasPrefix(step, plan.FindProgram): // it is there: its interpreter is not
		text = fmt.Sprintf("exec %s: %v", program, cause)
	case errors.Is(cause, unix.ENOENT):
		text = fmt.Sprintf("exec: %q: stat %s: %v", program, program, cause)
	}
	return &ProgramError{Program: program, Err: cause, text: text}
}

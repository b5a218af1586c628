package runtime

import (
	"errors"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// schedulerError says what is behind EPERM of sched_setattr(2): a deadline can only be kept by who may run on every processor.
func schedulerError(s *specs.Spec, step string, err error) error {
	if !strings.HasPrefix(step, "set the scheduler ") || !errors.Is(err, unix.EPERM) {
		return err
	}
	if r := s.Linux.Resources; r != nil && r.CPU != nil && r.CPU.Cpus != "" {
		return errors.Join(errors.New("process scheduler can't be used together with AllowedCPUs"), err)
	}
	return err
}

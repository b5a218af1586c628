package spec

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// MaxCPUs is how many processors a list may name.
const MaxCPUs = 8192

// CPUs reads a list as the kernel writes it ("0-2,7") into a mask, in 64-bit words.
func CPUs(list string) ([]uint64, error) {
	var mask []uint64
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no list of processors", list)
		}
		last, err := strconv.ParseUint(to, 10, 32)
		if err != nil || last < first {
			return nil, fmt.Errorf("%q is no list of processors", list)
		}
		if last >= MaxCPUs {
			return nil, fmt.Errorf("%q: processor %d is above %d", list, last, MaxCPUs-1)
		}
		for uint64(len(mask)) <= last/64 {
			mask = append(mask, 0)
		}
		for n := first; n <= last; n++ {
			mask[n/64] |= 1 << (n % 64)
		}
	}
	return mask, nil
}

// scheduling checks how a process asks to be scheduled: what sched_setattr(2) and ioprio_set(2) would refuse, by its name.
func scheduling(p *specs.Process) error {
	if s := p.Scheduler; s != nil {
		if err := scheduler(s); err != nil {
			return fmt.Errorf("process.scheduler%w", err)
		}
	}
	if io := p.IOPriority; io != nil {
		if !slices.Contains([]specs.IOPriorityClass{specs.IOPRIO_CLASS_RT, specs.IOPRIO_CLASS_BE, specs.IOPRIO_CLASS_IDLE}, io.Class) {
			return fmt.Errorf("process.ioPriority.class: unknown class %q", io.Class)
		}
		if io.Priority < 0 || io.Priority > 7 {
			return fmt.Errorf("process.ioPriority.priority: %d is not between 0 and 7", io.Priority)
		}
	}
	if a := p.ExecCPUAffinity; a != nil {
		for field, list := range map[string]string{"initial": a.Initial, "final": a.Final} {
			if list == "" {
				continue
			}
			if _, err := CPUs(list); err != nil {
				return fmt.Errorf("process.execCPUAffinity.%s: %w", field, err)
			}
		}
	}
	return nil
}

func scheduler(s *specs.Scheduler) error {
	policies := []specs.LinuxSchedulerPolicy{specs.SchedOther, specs.SchedFIFO, specs.SchedRR, specs.SchedBatch, specs.SchedISO, specs.SchedIdle, specs.SchedDeadline}
	switch {
	case s.Policy == "":
		return errors.New(".policy: it is missing")
	case !slices.Contains(policies, s.Policy):
		return fmt.Errorf(".policy: unknown policy %q", s.Policy)
	case s.Nice < -20 || s.Nice > 19:
		return fmt.Errorf(".nice: %d is not between -20 and 19", s.Nice)
	case s.Priority != 0 && s.Policy != specs.SchedFIFO && s.Policy != specs.SchedRR:
		return fmt.Errorf(".priority: only %s and %s have one", specs.SchedFIFO, specs.SchedRR)
	case s.Runtime+s.Deadline+s.Period != 0 && s.Policy != specs.SchedDeadline:
		return fmt.Errorf(".runtime, .deadline, .period: only %s has them", specs.SchedDeadline)
	}
	for i, f := range s.Flags {
		if !slices.Contains(SchedulerFlags(), f) {
			return fmt.Errorf(".flags[%d]: unknown flag %q", i, f)
		}
	}
	return nil
}

// SchedulerFlags are the flags of sched_setattr(2), by their bits.
func SchedulerFlags() []specs.LinuxSchedulerFlag {
	return []specs.LinuxSchedulerFlag{
		specs.SchedFlagResetOnFork, specs.SchedFlagReclaim, specs.SchedFlagDLOverrun, specs.SchedFlagKeepPolicy,
		specs.SchedFlagKeepParams, specs.SchedFlagUtilClampMin, specs.SchedFlagUtilClampMax,
	}
}

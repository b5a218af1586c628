package plan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// affinity says on which processors the process runs. Whoever called us may be bound to some; the container is bound by its
// cgroup alone, unless config.json binds a process of exec further.
func (c *compiler) affinity() []launch.Step {
	name, mask := "run on every processor of the cgroup", bytes.Repeat([]byte{0xff}, spec.MaxCPUs/8)
	if a := c.proc.ExecCPUAffinity; a != nil && a.Final != "" && c.joining {
		name, mask = "run on processors "+a.Final, cpuMask(a.Final)
	}
	call := launch.Call(unix.SYS_SCHED_SETAFFINITY, launch.Int(0), launch.Int(len(mask)), &launch.Mem{Data: mask})
	if !c.joining {
		call = call.Or(unix.EPERM, unix.EINVAL) // a machine without the right to it keeps the caller's
	}
	return []launch.Step{child(name, "sched_setaffinity(2): it is inherited from whoever called us", call)}
}

// firstAffinity binds the thread that clones, and so the child until it is in its cgroup (config.md, process.execCPUAffinity.initial).
func (c *compiler) firstAffinity() []launch.Step {
	a := c.proc.ExecCPUAffinity
	if a == nil || a.Initial == "" {
		return nil
	}
	mask := cpuMask(a.Initial)
	if len(mask) >= 8 {
		c.plan.Notes = append(c.plan.Notes, fmt.Sprintf("nsexec: affinity: %#x", binary.NativeEndian.Uint64(mask)))
	}
	return []launch.Step{parent("be born on processors "+a.Initial, "config.md, process.execCPUAffinity.initial: until it has joined the cgroup", func(r *launch.Run) error {
		r.Taint()
		var first *byte
		if len(mask) > 0 {
			first = &mask[0]
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, 0, uintptr(len(mask)), uintptr(unsafe.Pointer(first))); errno != 0 {
			return errno
		}
		return nil
	})}
}

// cpuMask is a list of processors as the kernel wants it. Validate has read the list before.
func cpuMask(list string) []byte {
	words, _ := spec.CPUs(list)
	var mask []byte
	for _, w := range words {
		mask = binary.NativeEndian.AppendUint64(mask, w)
	}
	return mask
}

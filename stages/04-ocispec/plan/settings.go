package plan

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// settings lists the names and numbers of the new namespaces.
func (c *compiler) settings() []launch.Step {
	steps := append(c.resourceControl(), c.netDevices()...)
	if name := c.spec.Hostname; name != "" {
		steps = append(steps, launch.Hostname(name))
	}
	if name := c.spec.Domainname; name != "" {
		steps = append(steps, child("set the domain name to "+name, "setdomainname(2)", launch.Call(unix.SYS_SETDOMAINNAME, launch.Str(name), launch.Int(len(name)))))
	}
	if spec.New(c.spec, specs.NetworkNamespace) {
		steps = append(steps, c.loopback())
	}
	for _, key := range slices.Sorted(maps.Keys(c.spec.Linux.Sysctl)) {
		steps = append(steps, c.sysctl(key, c.spec.Linux.Sysctl[key]))
	}
	steps = append(steps, c.personality()...)
	if c.labelled() {
		steps = append(steps, c.openLabel())
	}
	return steps
}

// personality is inherited from parent to child, so a process of exec has to be told, too.
func (c *compiler) personality() []launch.Step {
	p := c.spec.Linux.Personality
	if p == nil {
		return nil
	}
	domain := uintptr(0)
	if p.Domain == specs.PerLinux32 {
		domain = 8
	}
	return []launch.Step{child("set the personality to "+string(p.Domain), "personality(2)", launch.Call(unix.SYS_PERSONALITY, launch.Int(domain)))}
}

// loopback brings the interface lo up: a new network namespace has it, but down (netdevice(7)).
func (c *compiler) loopback() launch.Step {
	fd := c.slots.Take()
	request := launch.Buf(40) // struct ifreq: name[16], then the flags
	copy(request.Data, "lo")
	binary.NativeEndian.PutUint16(request.Data[16:], unix.IFF_UP)
	return child("bring up lo", "network_namespaces(7): it is there, but down",
		launch.Call(unix.SYS_SOCKET, launch.Int(unix.AF_INET), launch.Int(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), launch.Int(0)).Into(fd),
		launch.Call(unix.SYS_IOCTL, fd, launch.Int(unix.SIOCSIFFLAGS), request),
		launch.Call(unix.SYS_CLOSE, fd))
}

// sysctl writes through the host's procfs, before the container's own is there: the kernel takes the namespaces of whoever
// opens the file, and nobody can have put another file in its place (CVE-2025-52881).
func (c *compiler) sysctl(key, value string) launch.Step {
	fd := c.temporary()
	return child(fmt.Sprintf("set %s to %q", key, value), "config.json linux.sysctl; written through the host's /proc (CVE-2025-52881)",
		openProc("/proc/sys/"+spec.SysctlPath(key), unix.O_WRONLY|unix.O_NOFOLLOW, fd),
		launch.Call(unix.SYS_WRITE, fd, launch.Str(value), launch.Int(len(value))),
		launch.Call(unix.SYS_CLOSE, fd))
}

// temporary is a register that lives for a step.
func (c *compiler) temporary() launch.Slot { return c.conn }

// openLabel opens the file that the AppArmor profile or the SELinux label will be written to, while /proc is the host's.
func (c *compiler) openLabel() launch.Step {
	if c.proc.ApparmorProfile == "" {
		return child("open /proc/self/attr/exec", "written at the end, through the host's procfs (CVE-2019-19921)", openProc("/proc/self/attr/exec", unix.O_WRONLY, c.label))
	}
	return child("open /proc/self/attr/apparmor/exec", "written at the end, through the host's procfs (CVE-2019-19921)",
		openProc("/proc/self/attr/apparmor/exec", unix.O_WRONLY, c.label).On(unix.ENOENT, "old").Goto(launch.Next),
		openProc("/proc/self/attr/exec", unix.O_WRONLY, c.label).At("old"))
}

// memoryPolicy says from which memory nodes the process gets its memory; programs inherit it over execve.
func (c *compiler) memoryPolicy() []launch.Step {
	if c.spec.Linux.MemoryPolicy == nil {
		return nil
	}
	p, err := spec.ParseMemoryPolicy(c.spec.Linux.MemoryPolicy)
	if err != nil { // Validate has seen it
		return []launch.Step{parent("set the memory policy", "", func(*launch.Run) error { return err })}
	}
	mask := launch.Arg(launch.Int(0))
	if p.Bits > 0 {
		words := launch.Buf(0)
		for _, w := range p.Nodes {
			words.Data = binary.NativeEndian.AppendUint64(words.Data, w)
		}
		mask = words
	}
	return []launch.Step{child("set the memory policy to "+string(c.spec.Linux.MemoryPolicy.Mode), "set_mempolicy(2); config.json linux.memoryPolicy",
		launch.Call(unix.SYS_SET_MEMPOLICY, launch.Int(p.Mode), mask, launch.Int(p.Bits)))}
}

// schedule lists how the process is scheduled, and from where it gets its memory.
func (c *compiler) schedule() []launch.Step {
	steps := append(c.affinity(), c.memoryPolicy()...)
	if s := c.proc.Scheduler; s != nil {
		steps = append(steps, setScheduler(s))
	}
	if p := c.proc.IOPriority; p != nil {
		class := map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}[p.Class]
		steps = append(steps, child(fmt.Sprintf("set the I/O priority to %s %d", p.Class, p.Priority), "ioprio_set(2)",
			launch.Call(unix.SYS_IOPRIO_SET, launch.Int(1), launch.Int(0), launch.Int(class<<13|p.Priority&0x1fff))))
	}
	return steps
}

// setScheduler fills struct sched_attr (sched_setattr(2)).
func setScheduler(s *specs.Scheduler) launch.Step {
	policy := map[specs.LinuxSchedulerPolicy]uint32{
		specs.SchedOther: 0, specs.SchedFIFO: 1, specs.SchedRR: 2, specs.SchedBatch: 3, specs.SchedISO: 4, specs.SchedIdle: 5, specs.SchedDeadline: 6,
	}[s.Policy]
	flags := uint64(0)
	for i, f := range spec.SchedulerFlags() {
		if slices.Contains(s.Flags, f) {
			flags |= 1 << i
		}
	}
	const size = 56
	attr := launch.Buf(size)
	order := binary.NativeEndian
	order.PutUint32(attr.Data[0:], size)
	order.PutUint32(attr.Data[4:], policy)
	order.PutUint64(attr.Data[8:], flags)
	order.PutUint32(attr.Data[16:], uint32(s.Nice))
	order.PutUint32(attr.Data[20:], uint32(s.Priority))
	order.PutUint64(attr.Data[24:], s.Runtime)
	order.PutUint64(attr.Data[32:], s.Deadline)
	order.PutUint64(attr.Data[40:], s.Period)
	return child("set the scheduler to "+string(s.Policy), "sched_setattr(2)", launch.Call(unix.SYS_SCHED_SETATTR, launch.Int(0), attr, launch.Int(0)))
}

package runtime

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/devices"
)

// budget is what config.json asks for and what every container gets, as the cgroup package takes it.
func (rt *Runtime) budget(r *specs.LinuxResources) *specs.LinuxResources {
	out := specs.LinuxResources{}
	if r != nil {
		out = *r
	}
	rt.warnBudget(&out)
	out.Pids = atLeastOne(out.Pids)
	if rt.rootless() {
		out.Devices = nil // only root of the machine may say (bpf(2), devices.rst); an ordinary user cannot make any
		return &out
	}
	out.Devices = rt.knownAccess(out.Devices)
	return devices.Allow(&out)
}

// change is what update asks for. Devices stay as they are, as with runc.
func (rt *Runtime) change(r *specs.LinuxResources) *specs.LinuxResources {
	out := *r
	rt.warnBudget(&out)
	out.Pids = atLeastOne(out.Pids)
	out.Devices = nil
	return &out
}

// atLeastOne makes a limit of 0 processes one of 1. Either means that nothing in the container can fork, but into a group with
// 0 no process can be born on cgroup v2 (pids.rst), and systemd takes none (TasksMax=).
func atLeastOne(p *specs.LinuxPids) *specs.LinuxPids {
	if p == nil || p.Limit == nil || *p.Limit != 0 {
		return p
	}
	return &specs.LinuxPids{Limit: new(int64(1))}
}

// warnBudget says what will not be done.
func (rt *Runtime) warnBudget(r *specs.LinuxResources) {
	if m := r.Memory; m != nil {
		rt.warnKernelMemory(m.Kernel, m.KernelTCP) //nolint:staticcheck // that they are out of use is the point
	}
	if !rt.cgroups.Systemd {
		return
	}
	if c := r.CPU; c != nil && c.Idle != nil && *c.Idle == 1 && c.Shares != nil && *c.Shares != 0 {
		rt.Warn("unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight")
	}
	if u := r.Unified; strings.TrimSpace(u["cpu.idle"]) == "1" && u["cpu.weight"] != "" {
		rt.Warn("unable to apply both cpu.weight and cpu.idle to systemd, ignoring cpu.weight")
	}
}

// warnKernelMemory tells of two limits that the text does not recommend either. What is not limited there needs no word.
func (rt *Runtime) warnKernelMemory(kernel, tcp *int64) {
	if kernel != nil && *kernel > 0 {
		rt.Warn("linux.resources.memory.kernel is ignored: the kernel has no such limit any more")
	}
	if tcp == nil || *tcp <= 0 {
		return
	}
	if layout, err := rt.layout(); err == nil && layout.Mode() == cgroup.V2 {
		rt.Warn("linux.resources.memory.kernelTCP is ignored: cgroup v2 counts these buffers as the container's memory")
	}
}

// knownAccess drops letters that mean nothing from the rules for devices: they would be an error to the kernel.
func (rt *Runtime) knownAccess(list []specs.LinuxDeviceCgroup) []specs.LinuxDeviceCgroup {
	out := make([]specs.LinuxDeviceCgroup, 0, len(list))
	for i, d := range list {
		known := strings.Map(func(r rune) rune {
			if strings.ContainsRune("rwm", r) {
				return r
			}
			return -1
		}, d.Access)
		if known != d.Access {
			rt.Warn(fmt.Sprintf("linux.resources.devices[%d].access: of %q only r, w and m are known", i, d.Access))
		}
		if known == "" && d.Access != "" {
			continue // it says nothing
		}
		d.Access = known
		out = append(out, d)
	}
	return out
}

package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
)

// Stats reads what a container uses now, from its cgroup and its network namespace; of one that does not run, it
// tells only who it is.
func (e *Engine) Stats(ref string) (container.StatsResponse, error) {
	c, err := e.Get(ref)
	if err != nil {
		return container.StatsResponse{}, err
	}
	v := c.View()
	out := container.StatsResponse{ID: v.ID, Name: "/" + v.Name, OSType: "linux"}
	if !v.Running() {
		return out, nil
	}
	layout, err := cgroup.Detect()
	if err != nil {
		return out, err
	}
	group, err := layout.Of(v.Pid)
	if err != nil {
		return out, err
	}
	used, err := group.Stats()
	if err != nil {
		return out, fmt.Errorf("cgroup of container %.12s: %w", v.ID, err)
	}
	out.Read = time.Now().UTC()
	fillStats(&out, used)
	out.CPUStats.SystemUsage, err = systemTime()
	out.CPUStats.OnlineCPUs = uint32(runtime.NumCPU())
	if !v.HostConfig.NetworkMode.IsHost() {
		out.Networks = networkStats(v.Pid)
	}
	return out, err
}

// fillStats translates our numbers to Docker's; it is pure.
func fillStats(out *container.StatsResponse, used *cgroup.Stats) {
	cpu, mem := used.CPU, used.Memory
	out.CPUStats.CPUUsage = container.CPUUsage{
		TotalUsage: uint64(cpu.Usage), UsageInUsermode: uint64(cpu.User), UsageInKernelmode: uint64(cpu.System),
	}
	for _, d := range cpu.PerCPU {
		out.CPUStats.CPUUsage.PercpuUsage = append(out.CPUStats.CPUUsage.PercpuUsage, uint64(d))
	}
	out.CPUStats.ThrottlingData = container.ThrottlingData{
		Periods: cpu.Periods, ThrottledPeriods: cpu.ThrottledPeriods, ThrottledTime: uint64(cpu.Throttled),
	}
	out.MemoryStats = container.MemoryStats{
		Usage: mem.Usage, MaxUsage: mem.Max, Stats: mem.Raw, Failcnt: mem.Failures, Limit: min(mem.Limit, totalMemory()),
	}
	out.PidsStats.Current = used.Pids.Current
	if used.Pids.Limit != cgroup.Unlimited {
		out.PidsStats.Limit = used.Pids.Limit
	}
	for _, d := range used.IO {
		for _, entry := range []struct {
			to    *[]container.BlkioStatEntry
			op    string
			value uint64
		}{
			{&out.BlkioStats.IoServiceBytesRecursive, "read", d.ReadBytes},
			{&out.BlkioStats.IoServiceBytesRecursive, "write", d.WriteBytes},
			{&out.BlkioStats.IoServicedRecursive, "read", d.Reads},
			{&out.BlkioStats.IoServicedRecursive, "write", d.Writes},
		} {
			*entry.to = append(*entry.to, container.BlkioStatEntry{Major: d.Major, Minor: d.Minor, Op: entry.op, Value: entry.value})
		}
	}
}

func totalMemory() uint64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return cgroup.Unlimited
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return cgroup.Unlimited
}

const clockTick = 100 // per second: USER_HZ, the same on every Linux that Go runs on

// systemTime is the time that all CPUs have spent, in nanoseconds: the first line of /proc/stat without guest time.
func systemTime() (uint64, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks uint64
	for _, f := range fields[1:8] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return ticks * uint64(time.Second/clockTick), nil
}

// networkStats reads the interfaces that the process sees; one that has just ended has none.
func networkStats(pid int) map[string]container.NetworkStats {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return nil
	}
	return parseNetDev(string(data))
}

func parseNetDev(text string) map[string]container.NetworkStats {
	out := map[string]container.NetworkStats{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(f) < 16 {
			continue
		}
		n := make([]uint64, 16)
		for i := range n {
			n[i], _ = strconv.ParseUint(f[i], 10, 64)
		}
		out[name] = container.NetworkStats{
			RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
			TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
		}
	}
	return out
}

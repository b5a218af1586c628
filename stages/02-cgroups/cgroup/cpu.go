package cgroup

import (
	"fmt"
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// planCPU orders its writes by the kernel's laws: weight cannot be changed while a group is idle; quota over
// period may not pass the parent's at any moment; burst may not pass quota (sched-bwc.rst).
func planCPU(now facts, r *specs.LinuxResources) ([]write, error) {
	c := r.CPU
	if !AsksCPU(c) {
		return nil, nil
	}
	version, err := now.need("cpu", "a CPU limit")
	if err != nil {
		return nil, err
	}
	if version == 1 {
		return cpuWeight(c, "cpu.shares", func(shares uint64) uint64 { return shares }, cpuBandwidthV1(now, c)), nil
	}
	if set(c.RealtimeRuntime) || set(c.RealtimePeriod) {
		return nil, fmt.Errorf("cpu.realtimeRuntime and cpu.realtimePeriod: cgroup v2 has no real-time budget")
	}
	bandwidth, err := cpuBandwidthV2(now, c)
	if err != nil {
		return nil, err
	}
	return cpuWeight(c, "cpu.weight", weightFromShares, bandwidth), nil
}

// AsksCPU tells whether there is anything about time: 0 is what is anyway, but for burst and idle, which it takes away. Which processors it
// may be is another controller's.
func AsksCPU(c *specs.LinuxCPU) bool {
	return c != nil && (set(c.Shares) || set(c.Quota) || set(c.Period) || c.Burst != nil || c.Idle != nil ||
		set(c.RealtimeRuntime) || set(c.RealtimePeriod))
}

// cpuWeight puts idle=0 before the weight and idle=1 after it.
func cpuWeight(c *specs.LinuxCPU, file string, convert func(uint64) uint64, rest []write) []write {
	var all []write
	idle := write{controller: "cpu", file: "cpu.idle"}
	if c.Idle != nil {
		idle.value = itoa(*c.Idle)
		idle.optional = *c.Idle == 0
	}
	if c.Idle != nil && *c.Idle == 0 {
		all = append(all, idle)
	}
	if set(c.Shares) {
		all = append(all, write{controller: "cpu", file: file, value: itoa(convert(*c.Shares))})
	}
	if c.Idle != nil && *c.Idle != 0 {
		all = append(all, idle)
	}
	return append(all, rest...)
}

// cpuBandwidthV1 has a file for each number. A longer period goes before the quota and a shorter one after
// it: then quota/period between the two writes is never above both the old and the new ratio.
func cpuBandwidthV1(now facts, c *specs.LinuxCPU) []write {
	var all []write
	if set(c.Quota) {
		all = append(all, write{controller: "cpu", file: "cpu.cfs_quota_us", value: itoa(max(*c.Quota, -1))})
	}
	if set(c.Period) {
		all = withPeriod(all, write{controller: "cpu", file: "cpu.cfs_period_us", value: itoa(*c.Period)}, *c.Period >= now.period)
	}
	return append(withBurst(now, c, "cpu.cfs_burst_us", all), cpuRealtime(now, c)...)
}

// withPeriod puts a longer period before the quota and a shorter one after it.
func withPeriod(quota []write, period write, longer bool) []write {
	if longer {
		return append([]write{period}, quota...)
	}
	return append(quota, period)
}

// cpuRealtime obeys the same law: runtime/period may not pass what the group above has left (sched-rt-group.rst).
func cpuRealtime(now facts, c *specs.LinuxCPU) []write {
	var all []write
	if set(c.RealtimeRuntime) {
		all = append(all, write{controller: "cpu", file: "cpu.rt_runtime_us", value: itoa(*c.RealtimeRuntime)})
	}
	if set(c.RealtimePeriod) {
		all = withPeriod(all, write{controller: "cpu", file: "cpu.rt_period_us", value: itoa(*c.RealtimePeriod)}, *c.RealtimePeriod >= now.rtPeriod)
	}
	return all
}

// cpuBandwidthV2 has both numbers in one file; the one that is not given stays as it is.
func cpuBandwidthV2(now facts, c *specs.LinuxCPU) ([]write, error) {
	if !set(c.Quota) && !set(c.Period) {
		return withBurst(now, c, "cpu.max.burst", nil), nil
	}
	//ex:begin cg.cpu-max
	quota, period := now.quota, now.period
	if set(c.Quota) {
		quota = orMax(*c.Quota)
	}
	if set(c.Period) {
		period = *c.Period
	}
	line := write{controller: "cpu", file: "cpu.max", value: fmt.Sprintf("%s %d", quota, period)}
	return withBurst(now, c, "cpu.max.burst", []write{line}), nil
	//ex:stub
	// return nil, todo.Exercise("cg.cpu-max")
	//ex:end cg.cpu-max
}

// withBurst lowers the burst before the quota and raises it after.
func withBurst(now facts, c *specs.LinuxCPU, file string, quota []write) []write {
	if c.Burst == nil {
		return quota
	}
	burst := write{controller: "cpu", file: file, value: itoa(*c.Burst), optional: *c.Burst == 0}
	if *c.Burst <= now.burst {
		return append([]write{burst}, quota...)
	}
	return append(quota, burst)
}

// weightFromShares maps v1's shares (2 to 262144, default 1024) to v2's weight (1 to 10000, default 100) so
// that both ends and the default meet: ten to a quadratic in log2(shares). It is the conversion that runc
// and crun use since 2025; the linear one before it made a weight of 39 of the default.
func weightFromShares(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// planCpuset goes before everything that could need a CPU.
func planCpuset(now facts, r *specs.LinuxResources) ([]write, error) {
	if r.CPU == nil || r.CPU.Cpus == "" && r.CPU.Mems == "" {
		return nil, nil
	}
	if _, err := now.need("cpuset", "a set of CPUs"); err != nil {
		return nil, err
	}
	var all []write
	if r.CPU.Cpus != "" {
		all = append(all, write{controller: "cpuset", file: "cpuset.cpus", value: r.CPU.Cpus})
	}
	if r.CPU.Mems != "" {
		all = append(all, write{controller: "cpuset", file: "cpuset.mems", value: r.CPU.Mems})
	}
	return all, nil
}

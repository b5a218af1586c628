package cgroup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// properties says a budget in systemd's words (systemd.resource-control(5)), as far as it has words. systemd
// writes them into the same files that the plan does, which come after it; but what it was told it also keeps,
// where it would reset what it was not told at the next daemon-reload.
func properties(now facts, r *specs.LinuxResources) (dbus.Properties, error) {
	var all dbus.Properties
	if r == nil {
		return nil, nil
	}
	if r.CPU != nil {
		list, err := cpuProperties(now, r.CPU)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	if r.Memory != nil {
		all = append(all, memoryProperties(now, r.Memory)...)
	}
	if r.Pids != nil && r.Pids.Limit != nil && now.version("pids") != 0 {
		all = append(all, dbus.Property{Name: "TasksMax", Value: tasksMax(orInfinity(*r.Pids.Limit))})
	}
	if r.BlockIO != nil && set(r.BlockIO.Weight) {
		switch now.version("blkio") {
		case 1:
			all = append(all, dbus.Property{Name: "BlockIOWeight", Value: uint64(*r.BlockIO.Weight)})
		case 2:
			all = append(all, dbus.Property{Name: "IOWeight", Value: ioWeight(*r.BlockIO.Weight)})
		}
	}
	if now.version("devices") == 1 && r.Devices != nil {
		list, err := deviceProperties(r.Devices)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return append(all, unifiedProperties(r.Unified)...), nil
}

func cpuProperties(now facts, c *specs.LinuxCPU) (all dbus.Properties, err error) {
	idle := c.Idle != nil && *c.Idle == 1 && now.version("cpu") == 2
	if idle {
		all = append(all, dbus.Property{Name: "CPUWeight", Value: uint64(0)}) // systemd's way to say it; it takes no weight beside it
	}
	if set(c.Shares) && !idle {
		switch now.version("cpu") {
		case 1:
			all = append(all, dbus.Property{Name: "CPUShares", Value: *c.Shares})
		case 2:
			all = append(all, dbus.Property{Name: "CPUWeight", Value: weightFromShares(*c.Shares)})
		}
	}
	if now.version("cpu") != 0 && (set(c.Quota) || set(c.Period)) {
		all = append(all, bandwidthProperties(now, c)...)
	}
	if now.version("cpuset") != 2 {
		return all, nil // systemd does not govern v1's
	}
	for _, f := range []struct{ name, list string }{{"AllowedCPUs", c.Cpus}, {"AllowedMemoryNodes", c.Mems}} {
		if f.list == "" {
			continue
		}
		mask, err := listToMask(f.list)
		if err != nil {
			return nil, err
		}
		all = append(all, dbus.Property{Name: f.name, Value: mask})
	}
	return all, nil
}

// bandwidthProperties: systemd takes microseconds of CPU for each second, in steps of 10 ms.
func bandwidthProperties(now facts, c *specs.LinuxCPU) (all dbus.Properties) {
	period, quota := bandwidth(now, c)
	if set(c.Period) {
		all = append(all, dbus.Property{Name: "CPUQuotaPeriodUSec", Value: period})
	}
	perSecond := uint64(Unlimited)
	if quota > 0 && period > 0 {
		perSecond = perSecondUSec(uint64(quota), period)
	}
	return append(all, dbus.Property{Name: "CPUQuotaPerSecUSec", Value: perSecond})
}

func memoryProperties(now facts, m *specs.LinuxMemory) (all dbus.Properties) {
	version := now.version("memory")
	if version == 1 && set(m.Limit) {
		return dbus.Properties{{Name: "MemoryLimit", Value: orInfinity(*m.Limit)}}
	}
	if version != 2 {
		return nil
	}
	if set(m.Limit) {
		all = append(all, dbus.Property{Name: "MemoryMax", Value: orInfinity(*m.Limit)})
	}
	if set(m.Reservation) {
		all = append(all, dbus.Property{Name: "MemoryLow", Value: orInfinity(*m.Reservation)})
	}
	if total := swapTotal(now, m); total != nil { // the spec's swap is the sum of both
		if text, err := swapValue(2, now, *total, m); err == nil { // else the plan refuses it
			n, _ := parseLimit(text) // swapValue writes what it reads
			all = append(all, dbus.Property{Name: "MemorySwapMax", Value: n})
		}
	}
	return all
}

// unifiedProperties translates those v2 files that systemd governs.
func unifiedProperties(unified map[string]string) (all dbus.Properties) {
	if strings.TrimSpace(unified["cpu.idle"]) == "1" {
		all = append(all, dbus.Property{Name: "CPUWeight", Value: uint64(0)})
	}
	names := map[string]string{
		"memory.max": "MemoryMax", "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
		"memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax", "cpu.weight": "CPUWeight",
	}
	for _, file := range sortedKeys(unified) {
		value := strings.TrimSpace(unified[file])
		switch name, known := names[file]; {
		case file == "cpu.weight" && len(all) > 0 && all[0].Name == "CPUWeight": // idle
		case file == "cpu.max":
			all = append(all, maxProperties(value)...)
		case file == "cpuset.cpus" || file == "cpuset.mems":
			if mask, err := listToMask(value); err == nil {
				all = append(all, dbus.Property{Name: map[string]string{"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}[file], Value: mask})
			}
		case known:
			if n, err := parseLimit(value); err == nil { // else the file itself will refuse it, by name
				all = append(all, dbus.Property{Name: name, Value: n})
			}
		}
	}
	return all
}

// deviceProperties keeps systemd from allowing all devices again: on v1 it writes devices.allow whenever it
// looks after a unit, and without a policy it writes "a". It can say only what is allowed; the exact list is
// written behind it.
func deviceProperties(list []specs.LinuxDeviceCgroup) (dbus.Properties, error) {
	rules, err := deviceRules(list)
	if err != nil {
		return nil, err
	}
	s := newDeviceSet(rules)
	if s.allow {
		return dbus.Properties{{Name: "DevicePolicy", Value: "auto"}, {Name: "DeviceAllow", Value: dbus.Pairs{}}}, nil
	}
	allow := dbus.Pairs{}
	for _, d := range s.order {
		if acc := s.exceptions[d]; acc != 0 {
			if name, ok := d.systemdName(); ok {
				allow = append(allow, [2]string{name, acc.String()})
			}
		}
	}
	return dbus.Properties{{Name: "DevicePolicy", Value: "strict"}, {Name: "DeviceAllow", Value: allow}}, nil
}

// systemdName is a device, or a whole kind of them, in the words of DeviceAllow=. It has none for a minor number
// of every major.
func (d device) systemdName() (string, bool) {
	kind := map[byte]string{'b': "block", 'c': "char"}[d.kind]
	switch {
	case d.major == anyNumber && d.minor == anyNumber:
		return kind + "-*", true
	case d.major == anyNumber:
		return "", false
	case d.minor == anyNumber:
		return fmt.Sprintf("%s-%d", kind, d.major), true
	}
	return fmt.Sprintf("/dev/%s/%d:%d", kind, d.major, d.minor), true
}

// bandwidth is what will hold, in microseconds: what is asked for, and else what holds now; a quota below 0 is none.
func bandwidth(now facts, c *specs.LinuxCPU) (period uint64, quota int64) {
	period, quota = now.period, -1
	if set(c.Period) {
		period = *c.Period
	}
	if n, err := strconv.ParseInt(now.quota, 10, 64); err == nil {
		quota = n
	}
	if set(c.Quota) {
		quota = *c.Quota
	}
	return period, quota
}

// maxProperties reads a line for cpu.max: "QUOTA [PERIOD]".
func maxProperties(line string) dbus.Properties {
	fields := strings.Fields(line)
	if len(fields) == 0 || len(fields) > 2 {
		return nil
	}
	period, perSecond := uint64(100000), uint64(Unlimited)
	if len(fields) == 2 {
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil || n == 0 {
			return nil
		}
		period = n
	}
	if quota, err := strconv.ParseUint(fields[0], 10, 64); err == nil {
		perSecond = perSecondUSec(quota, period)
	}
	return dbus.Properties{{Name: "CPUQuotaPeriodUSec", Value: period}, {Name: "CPUQuotaPerSecUSec", Value: perSecond}}
}

// quotaStep: systemd thinks in percent of a CPU.
const quotaStep = 10000

// maxQuota is above what the kernel takes (kernel/sched/core.c, max_bw_quota_period_us), and below what overflows.
const maxQuota = 1 << 43

// perSecondUSec is a quota in systemd's unit, rounded up to a step.
func perSecondUSec(quota, period uint64) uint64 {
	if quota > maxQuota {
		return Unlimited
	}
	return (quota*1000000/period + quotaStep - 1) / quotaStep * quotaStep
}

// inSteps returns the budget with its quota as systemd will round it: else the file would say one thing now and
// another after the next daemon-reload.
func inSteps(now facts, r *specs.LinuxResources) *specs.LinuxResources {
	if r.CPU == nil || !set(r.CPU.Quota) && !set(r.CPU.Period) {
		return r
	}
	period, quota := bandwidth(now, r.CPU)
	if quota <= 0 || quota > maxQuota || period == 0 {
		return r
	}
	quota = int64(perSecondUSec(uint64(quota), period) * period / 1000000)
	o, cpu := *r, *r.CPU
	cpu.Quota = &quota
	o.CPU = &cpu
	return &o
}

// tasksMax: systemd takes no 0; with 1 nothing can fork either.
func tasksMax(n uint64) uint64 { return max(n, 1) }

// orInfinity: systemd's word for no limit is the greatest number.
func orInfinity(n int64) uint64 {
	if n < 0 {
		return Unlimited
	}
	return uint64(n)
}

// listToMask turns "0-2,7" into systemd's bytes: bit n of the whole, the lowest first (AllowedCPUs, "ay").
func listToMask(list string) ([]byte, error) {
	const most = 8192 // the kernel's own greatest NR_CPUS
	var mask []byte
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || to < from || to >= most {
			return nil, fmt.Errorf("%q is no list such as 0-2,7", list)
		}
		for n := from; n <= to; n++ {
			for uint64(len(mask)) <= n/8 {
				mask = append(mask, 0)
			}
			mask[n/8] |= 1 << (n % 8)
		}
	}
	return mask, nil
}

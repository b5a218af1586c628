package main

import "github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"

// The types of this file have the form of runc's events.

type statsData struct {
	CPU     cpuData                `json:"cpu"`
	CPUSet  struct{}               `json:"cpuset"`
	Memory  memoryData             `json:"memory"`
	Pids    pidsData               `json:"pids"`
	Blkio   blkioData              `json:"blkio"`
	Hugetlb map[string]hugetlbData `json:"hugetlb"`
}

type cpuData struct {
	Usage struct {
		Total  uint64   `json:"total,omitempty"`
		PerCPU []uint64 `json:"percpu,omitempty"`
		Kernel uint64   `json:"kernel"`
		User   uint64   `json:"user"`
	} `json:"usage"`
	Throttling struct {
		Periods          uint64 `json:"periods,omitempty"`
		ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
		ThrottledTime    uint64 `json:"throttledTime,omitempty"`
	} `json:"throttling"`
}

type memoryEntry struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

type memoryData struct {
	Cache uint64            `json:"cache,omitempty"`
	Usage memoryEntry       `json:"usage"`
	Swap  memoryEntry       `json:"swap"`
	Raw   map[string]uint64 `json:"raw,omitempty"`
}

type pidsData struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

type blkioEntry struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

type blkioData struct {
	Bytes    []blkioEntry `json:"ioServiceBytesRecursive,omitempty"`
	Serviced []blkioEntry `json:"ioServicedRecursive,omitempty"`
}

type hugetlbData struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

func runcStats(s *cgroup.Stats) statsData {
	var d statsData
	d.CPU.Usage.Total, d.CPU.Usage.Kernel, d.CPU.Usage.User = uint64(s.CPU.Usage), uint64(s.CPU.System), uint64(s.CPU.User)
	for _, c := range s.CPU.PerCPU {
		d.CPU.Usage.PerCPU = append(d.CPU.Usage.PerCPU, uint64(c))
	}
	d.CPU.Throttling.Periods, d.CPU.Throttling.ThrottledPeriods, d.CPU.Throttling.ThrottledTime = s.CPU.Periods, s.CPU.ThrottledPeriods, uint64(s.CPU.Throttled)
	m := s.Memory
	d.Memory = memoryData{Cache: m.Cache, Usage: memoryEntry{m.Limit, m.Usage, m.Max, m.Failures}, Raw: m.Raw, Swap: memoryEntry{Limit: m.SwapLimit, Usage: m.Swap}}
	if m.MemSW != nil {
		d.Memory.Swap = memoryEntry{m.MemSW.Limit, m.MemSW.Usage, m.MemSW.Max, m.MemSW.Failures}
	}
	d.Pids = pidsData{s.Pids.Current, s.Pids.Limit}
	if s.Pids.Limit == cgroup.Unlimited {
		d.Pids.Limit = 0
	}
	for _, dev := range s.IO {
		entry := func(op string, n uint64) blkioEntry { return blkioEntry{dev.Major, dev.Minor, op, n} }
		d.Blkio.Bytes = append(d.Blkio.Bytes, entry("Read", dev.ReadBytes), entry("Write", dev.WriteBytes))
		d.Blkio.Serviced = append(d.Blkio.Serviced, entry("Read", dev.Reads), entry("Write", dev.Writes))
	}
	d.Hugetlb = map[string]hugetlbData{}
	for size, h := range s.Hugetlb {
		d.Hugetlb[size] = hugetlbData{h.Usage, h.Max, h.Failures}
	}
	return d
}

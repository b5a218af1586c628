package main

import (
	"os"
	"time"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
)

// The types of this file have the form of runc's events.

type statsData struct {
	CPU     cpuData                `json:"cpu"`
	CPUSet  cpusetData             `json:"cpuset"`
	Memory  memoryData             `json:"memory"`
	Pids    pidsData               `json:"pids"`
	Blkio   blkioData              `json:"blkio"`
	Hugetlb map[string]hugetlbData `json:"hugetlb"`

	IntelRdt   struct{} `json:"intel_rdt"`
	Interfaces []string `json:"network_interfaces"` // runc's has been null since it looks after no network
}

type cpusetData struct {
	CPUs             []uint16 `json:"cpus,omitempty"`
	CPUExclusive     uint64   `json:"cpu_exclusive"`
	Mems             []uint16 `json:"mems,omitempty"`
	MemHardwall      uint64   `json:"mem_hardwall"`
	MemExclusive     uint64   `json:"mem_exclusive"`
	MemoryMigrate    uint64   `json:"memory_migrate"`
	MemorySpreadPage uint64   `json:"memory_spread_page"`
	MemorySpreadSlab uint64   `json:"memory_spread_slab"`
	MemoryPressure   uint64   `json:"memory_pressure"`
	LoadBalance      uint64   `json:"sched_load_balance"`
	RelaxDomainLevel int64    `json:"sched_relax_domain_level"`
}

// stallsData is pressure in runc's form; totals are microseconds.
type stallsData struct {
	Some stallData `json:"some"`
	Full stallData `json:"full"`
}

type stallData struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
	Total  uint64  `json:"total"`
}

type cpuData struct {
	Usage struct {
		Total  uint64   `json:"total,omitempty"`
		PerCPU []uint64 `json:"percpu,omitempty"`

		PerCPUKernel []uint64 `json:"percpu_kernel,omitempty"`
		PerCPUUser   []uint64 `json:"percpu_user,omitempty"`

		Kernel uint64 `json:"kernel"`
		User   uint64 `json:"user"`
	} `json:"usage"`
	Throttling struct {
		Periods          uint64 `json:"periods,omitempty"`
		ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
		ThrottledTime    uint64 `json:"throttledTime,omitempty"`
	} `json:"throttling"`
	Stalls *stallsData `json:"psi,omitempty"`
}

type memoryEntry struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

type memoryData struct {
	Cache uint64      `json:"cache,omitempty"`
	Usage memoryEntry `json:"usage"`
	Swap  memoryEntry `json:"swap"`

	Kernel    memoryEntry `json:"kernel"`
	KernelTCP memoryEntry `json:"kernelTCP"`

	Raw    map[string]uint64 `json:"raw,omitempty"`
	Stalls *stallsData       `json:"psi,omitempty"`
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
	Stalls   *stallsData  `json:"psi,omitempty"`
}

type hugetlbData struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// runcStats lays accounts out as runc does; more is nil where there is no v1.
func runcStats(s *cgroup.Stats, more *cgroup.V1Details) statsData {
	var d statsData
	d.CPU.Usage.Total, d.CPU.Usage.Kernel, d.CPU.Usage.User = uint64(s.CPU.Usage), uint64(s.CPU.System), uint64(s.CPU.User)
	d.CPU.Usage.PerCPU = nanoseconds(s.CPU.PerCPU)
	d.CPU.Throttling.Periods, d.CPU.Throttling.ThrottledPeriods, d.CPU.Throttling.ThrottledTime = s.CPU.Periods, s.CPU.ThrottledPeriods, uint64(s.CPU.Throttled)
	m := s.Memory
	d.Memory = memoryData{Cache: m.Cache, Usage: memoryEntry{m.Limit, m.Usage, m.Max, m.Failures}, Raw: m.Raw, Swap: memoryEntry{Limit: m.SwapLimit, Usage: m.Swap}}
	if m.MemSW != nil {
		d.Memory.Swap = memoryEntry{m.MemSW.Limit, m.MemSW.Usage, m.MemSW.Max, m.MemSW.Failures}
	}
	d.CPU.Stalls, d.Memory.Stalls, d.Blkio.Stalls = stalls(s.Pressure.CPU), stalls(s.Pressure.Memory), stalls(s.Pressure.IO)
	d.Pids = pidsData{s.Pids.Current, s.Pids.Limit}
	if s.Pids.Limit == cgroup.Unlimited {
		d.Pids.Limit = 0
	}
	for _, dev := range s.IO {
		entry := func(op string, n uint64) blkioEntry { return blkioEntry{dev.Major, dev.Minor, op, n} }
		d.Blkio.Bytes = append(d.Blkio.Bytes, entry("Read", dev.ReadBytes), entry("Write", dev.WriteBytes), entry("Discard", dev.DiscardBytes))
		d.Blkio.Serviced = append(d.Blkio.Serviced, entry("Read", dev.Reads), entry("Write", dev.Writes), entry("Discard", dev.Discards))
	}
	d.Hugetlb = map[string]hugetlbData{}
	for size, h := range s.Hugetlb {
		d.Hugetlb[size] = hugetlbData{h.Usage, h.Max, h.Failures}
	}
	if more != nil {
		d.details(more)
	}
	return d
}

// details adds what v1 has more, and its own way to say that there is no limit.
func (d *statsData) details(more *cgroup.V1Details) {
	d.CPU.Usage.PerCPUKernel, d.CPU.Usage.PerCPUUser = nanoseconds(more.PerCPUKernel), nanoseconds(more.PerCPUUser)
	entry := func(m cgroup.MemSWStats) memoryEntry { return memoryEntry{m.Limit, m.Usage, m.Max, m.Failures} }
	d.Memory.Kernel, d.Memory.KernelTCP = entry(more.Kernel), entry(more.KernelTCP)
	for _, m := range []*memoryEntry{&d.Memory.Usage, &d.Memory.Swap, &d.Memory.Kernel, &d.Memory.KernelTCP} {
		if m.Limit == cgroup.Unlimited {
			m.Limit = uint64(1<<63-1) &^ uint64(os.Getpagesize()-1) // the kernel's PAGE_COUNTER_MAX, in bytes
		}
	}
	c := more.CPUSet
	d.CPUSet = cpusetData{
		c.CPUs, c.CPUExclusive, c.Mems, c.MemHardwall, c.MemExclusive, c.MemoryMigrate, c.MemorySpreadPage, c.MemorySpreadSlab,
		c.MemoryPressure, c.LoadBalance, c.RelaxDomainLevel,
	}
}

func nanoseconds(list []time.Duration) []uint64 {
	var numbers []uint64
	for _, d := range list {
		numbers = append(numbers, uint64(d))
	}
	return numbers
}

// stalls is nil where the kernel does not tell.
func stalls(s *cgroup.Stalls) *stallsData {
	if s == nil {
		return nil
	}
	one := func(s cgroup.Stall) stallData {
		return stallData{s.Avg10, s.Avg60, s.Avg300, uint64(s.Total / time.Microsecond)}
	}
	return &stallsData{one(s.Some), one(s.Full)}
}

package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Stats is what a group uses and has used. What the machine does not account for is zero; a limit that is
// not set is [Unlimited].
type Stats struct {
	CPU     CPUStats                `json:"cpu"`
	Memory  MemoryStats             `json:"memory"`
	Pids    PidsStats               `json:"pids"`
	IO      []IOStats               `json:"io,omitempty"` // sorted by device
	Hugetlb map[string]HugetlbStats `json:"hugetlb,omitempty"`

	Pressure Pressure             `json:"pressure"`
	Rdma     map[string]RdmaStats `json:"rdma,omitempty"` // by device
	Misc     map[string]MiscStats `json:"misc,omitempty"` // by resource; v2 only
}

// CPUStats are times since the group was made; in JSON they are nanoseconds.
type CPUStats struct {
	Usage  time.Duration   `json:"usage"`
	User   time.Duration   `json:"user"`
	System time.Duration   `json:"system"`
	PerCPU []time.Duration `json:"per_cpu,omitempty"` // v1 only

	Periods          uint64        `json:"periods"`           // of the bandwidth limit, while the group had work
	ThrottledPeriods uint64        `json:"throttled_periods"` // in which the quota ran out
	Throttled        time.Duration `json:"throttled"`         // summed over CPUs
	Bursts           uint64        `json:"bursts"`
	Burst            time.Duration `json:"burst"`
}

// MemoryStats are bytes, but for the counters.
type MemoryStats struct {
	Usage     uint64 `json:"usage"` // of the group and those below, page cache included
	Max       uint64 `json:"max"`   // the greatest Usage so far (v2: since Linux 5.19)
	Limit     uint64 `json:"limit"`
	SoftLimit uint64 `json:"soft_limit"` // v1 soft_limit; v2 memory.low, where 0 is none

	// Swap is swap alone, on v1 too.
	Swap      uint64 `json:"swap"`
	SwapLimit uint64 `json:"swap_limit"`

	Cache        uint64 `json:"cache"` // page cache, tmpfs included
	Anon         uint64 `json:"anon"`  // v1's rss
	Kernel       uint64 `json:"kernel"`
	InactiveFile uint64 `json:"inactive_file"` // docker stats shows Usage less this

	Failures uint64 `json:"failures"`  // times that Usage met Limit
	OOM      uint64 `json:"oom"`       // v2: times that memory ran out; v1 does not count them
	OOMKills uint64 `json:"oom_kills"` // processes killed for it

	// MemSW are v1's counters of memory and swap together.
	MemSW *MemSWStats `json:"memsw,omitempty"`

	// Raw is memory.stat as the kernel gives it.
	Raw map[string]uint64 `json:"raw"`
}

// MemSWStats are bytes of memory and swap together (v1).
type MemSWStats struct {
	Usage    uint64 `json:"usage"`
	Max      uint64 `json:"max"`
	Limit    uint64 `json:"limit"`
	Failures uint64 `json:"failures"`
}

// PidsStats count processes and threads.
type PidsStats struct {
	Current uint64 `json:"current"`
	Limit   uint64 `json:"limit"`
}

// IOStats is what one block device did for the group: bytes and operations.
type IOStats struct {
	Major      uint64 `json:"major"`
	Minor      uint64 `json:"minor"`
	ReadBytes  uint64 `json:"read_bytes"`
	WriteBytes uint64 `json:"write_bytes"`
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
	// Discards; v1 gives them as one of its operations.
	DiscardBytes uint64 `json:"discard_bytes"`
	Discards     uint64 `json:"discards"`
}

// HugetlbStats are bytes of huge pages of one size.
type HugetlbStats struct {
	Usage    uint64 `json:"usage"`
	Limit    uint64 `json:"limit"`
	Max      uint64 `json:"max"` // v1 only
	Failures uint64 `json:"failures"`
}

// Stats reads the group's accounts. A controller that does not account for the group leaves its part zero; a
// group that is nowhere is an error that is fs.ErrNotExist.
func (g *Group) Stats() (*Stats, error) {
	if !g.Exists() {
		return nil, &os.PathError{Op: "stat", Path: "cgroup " + g.path, Err: fs.ErrNotExist}
	}
	s := &Stats{}
	s.Memory.Limit, s.Memory.SoftLimit, s.Memory.SwapLimit, s.Pids.Limit = Unlimited, Unlimited, Unlimited, Unlimited
	for _, part := range []struct {
		controller string
		v1, v2     func(place, *Stats) error
	}{
		{"cpu", place.throttleV1, nil}, // v2 tells it all in one file
		{"cpuacct", place.cpuacctV1, place.cpuV2},
		{"memory", place.memoryV1, place.memoryV2},
		{"pids", place.pidsStats, place.pidsStats},
		{"blkio", place.blkioV1, place.ioV2},
		{"hugetlb", place.hugetlb, place.hugetlb},
		{"rdma", place.rdma, place.rdma},
		{"misc", place.misc, place.misc},
	} {
		p, ok := g.at(part.controller)
		if !ok || p.rel != "." && !p.exists() {
			continue
		}
		read := part.v1
		if p.tree.version == 2 {
			read = part.v2
		}
		if read == nil {
			continue
		}
		if err := read(p, s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if p, ok := g.unified(); ok && p.exists() {
		if err := p.pressure(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

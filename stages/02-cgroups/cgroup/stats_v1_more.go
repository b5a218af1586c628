package cgroup

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// V1Details are accounts and settings that only v1 has (Documentation/admin-guide/cgroup-v1). They are read apart from [Stats]
// because few ask for them.
type V1Details struct {
	PerCPUUser, PerCPUKernel []time.Duration
	Kernel, KernelTCP        MemSWStats // bytes of the kernel's, and of its TCP buffers
	CPUSet                   CPUSet
}

// CPUSet is cpuset.* of a group; switches are 0 or 1.
type CPUSet struct {
	CPUs, Mems                                                                     []uint16
	CPUExclusive, MemExclusive, MemHardwall                                        uint64
	MemoryMigrate, MemoryPressure, MemorySpreadPage, MemorySpreadSlab, LoadBalance uint64
	RelaxDomainLevel                                                               int64 // -1: the machine's default
}

// V1Details reads what v1 tells beyond Stats; nil when no controller of the group is v1's. A file that is not there leaves its
// part zero.
func (g *Group) V1Details() (*V1Details, error) {
	d, any := &V1Details{}, false
	for controller, read := range map[string]func(*V1Details, place) error{
		"cpuacct": (*V1Details).perCPU, "memory": (*V1Details).kernel, "cpuset": (*V1Details).cpuset,
	} {
		p, ok := g.at(controller)
		if !ok || p.tree.version == 2 {
			continue
		}
		any = true
		if err := read(d, p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if !any {
		return nil, nil
	}
	return d, nil
}

// perCPU reads lines of "cpu user system" in nanoseconds, below a line that says so.
func (d *V1Details) perCPU(p place) error {
	data, err := p.read("cpuacct.usage_all")
	if err != nil {
		return err
	}
	for line := range strings.Lines(data) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] == "cpu" {
			continue
		}
		user, userErr := strconv.ParseUint(f[1], 10, 63)
		kernel, kernelErr := strconv.ParseUint(f[2], 10, 63)
		if err := errors.Join(userErr, kernelErr); err != nil {
			return p.fail("parse", "cpuacct.usage_all", err)
		}
		d.PerCPUUser, d.PerCPUKernel = append(d.PerCPUUser, time.Duration(user)), append(d.PerCPUKernel, time.Duration(kernel))
	}
	return nil
}

func (d *V1Details) kernel(p place) error {
	var list []error
	for prefix, m := range map[string]*MemSWStats{"memory.kmem.": &d.Kernel, "memory.kmem.tcp.": &d.KernelTCP} {
		list = append(list, p.number(prefix+"usage_in_bytes", &m.Usage), p.number(prefix+"max_usage_in_bytes", &m.Max),
			p.number(prefix+"limit_in_bytes", &m.Limit), p.number(prefix+"failcnt", &m.Failures))
	}
	return errors.Join(list...)
}

func (d *V1Details) cpuset(p place) error {
	s := &d.CPUSet
	var list []error
	for file, to := range map[string]*uint64{
		"cpu_exclusive": &s.CPUExclusive, "mem_exclusive": &s.MemExclusive, "mem_hardwall": &s.MemHardwall,
		"memory_migrate": &s.MemoryMigrate, "memory_pressure": &s.MemoryPressure, "memory_spread_page": &s.MemorySpreadPage,
		"memory_spread_slab": &s.MemorySpreadSlab, "sched_load_balance": &s.LoadBalance,
	} {
		list = append(list, p.number("cpuset."+file, to))
	}
	for file, to := range map[string]*[]uint16{"cpus": &s.CPUs, "mems": &s.Mems} {
		data, err := p.read("cpuset." + file)
		if err == nil {
			*to, err = listed(strings.TrimSpace(data))
		}
		list = append(list, err)
	}
	data, err := p.read("cpuset.sched_relax_domain_level")
	if err == nil {
		s.RelaxDomainLevel, err = strconv.ParseInt(strings.TrimSpace(data), 10, 64)
	}
	return errors.Join(append(list, err)...)
}

// listed reads "0-3,7" (cpuset(7), "List format").
func listed(s string) ([]uint16, error) {
	var list []uint16
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 15)
		last, err2 := strconv.ParseUint(to, 10, 15)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		for n := first; n <= last; n++ {
			list = append(list, uint16(n))
		}
	}
	slices.Sort(list)
	return list, nil
}

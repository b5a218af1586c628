package cgroup

import (
	"errors"
	"strings"
	"time"
)

func (p place) cpuV2(s *Stats) error {
	data, err := p.read("cpu.stat")
	if err != nil {
		return err
	}
	stat := flatKeyed(data)
	usec := func(key string) time.Duration { return time.Duration(stat[key]) * time.Microsecond }
	s.CPU = CPUStats{
		Usage: usec("usage_usec"), User: usec("user_usec"), System: usec("system_usec"),
		Periods: stat["nr_periods"], ThrottledPeriods: stat["nr_throttled"], Throttled: usec("throttled_usec"),
		Bursts: stat["nr_bursts"], Burst: usec("burst_usec"),
	}
	return nil
}

func (p place) memoryV2(s *Stats) error {
	m := &s.Memory
	err := errors.Join(
		p.number("memory.current", &m.Usage),
		p.number("memory.peak", &m.Max),
		p.number("memory.max", &m.Limit),
		p.number("memory.low", &m.SoftLimit),
		p.number("memory.swap.current", &m.Swap),
		p.number("memory.swap.max", &m.SwapLimit))
	if err != nil {
		return err
	}
	data, err := p.read("memory.stat")
	if err != nil {
		return err
	}
	m.Raw = flatKeyed(data)
	m.Cache, m.Anon, m.InactiveFile = m.Raw["file"], m.Raw["anon"], m.Raw["inactive_file"]
	m.Kernel = m.Raw["kernel"]
	data, err = p.read("memory.events")
	events := flatKeyed(data)
	m.Failures, m.OOM, m.OOMKills = events["max"], events["oom"], events["oom_kill"]
	return err
}

func (p place) ioV2(s *Stats) error {
	data, err := p.read("io.stat")
	if err != nil {
		return err
	}
	devices := ioTable{}
	devices.readIOStat(data)
	s.IO = devices.sorted()
	return nil
}

// hugetlb reads the same accounts on both versions, under different names. Sizes are found from the files.
func (p place) hugetlb(s *Stats) error {
	dir, err := p.open(".", 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	used, limit := ".current", ".max"
	if p.tree.version == 1 {
		used, limit = ".usage_in_bytes", ".limit_in_bytes"
	}
	for _, name := range names {
		size, ok := strings.CutSuffix(strings.TrimPrefix(name, "hugetlb."), used)
		if !ok || !strings.HasPrefix(name, "hugetlb.") || strings.Contains(size, ".") {
			continue
		}
		h := HugetlbStats{Limit: Unlimited}
		if err := errors.Join(
			p.number("hugetlb."+size+used, &h.Usage),
			p.number("hugetlb."+size+limit, &h.Limit),
			p.number("hugetlb."+size+".max_usage_in_bytes", &h.Max),
			p.number("hugetlb."+size+".failcnt", &h.Failures)); err != nil {
			return err
		}
		if s.Hugetlb == nil {
			s.Hugetlb = map[string]HugetlbStats{}
		}
		s.Hugetlb[size] = h
	}
	return nil
}

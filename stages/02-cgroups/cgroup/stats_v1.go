package cgroup

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// userHZ is the unit of cpuacct.stat: 100 on every architecture that Go runs on (time(7), "jiffies").
const userHZ = 100

func (p place) throttleV1(s *Stats) error {
	data, err := p.read("cpu.stat")
	if err != nil {
		return err
	}
	stat := flatKeyed(data)
	c := &s.CPU
	c.Periods, c.ThrottledPeriods = stat["nr_periods"], stat["nr_throttled"]
	c.Throttled = time.Duration(stat["throttled_time"])
	c.Bursts, c.Burst = stat["nr_bursts"], time.Duration(stat["burst_time"])
	return nil
}

func (p place) cpuacctV1(s *Stats) error {
	var usage, user, system uint64
	if err := errors.Join(
		p.number("cpuacct.usage", &usage),
		p.number("cpuacct.usage_user", &user),
		p.number("cpuacct.usage_sys", &system)); err != nil {
		return err
	}
	s.CPU.Usage, s.CPU.User, s.CPU.System = time.Duration(usage), time.Duration(user), time.Duration(system)
	if user == 0 && system == 0 { // before Linux 4.17
		data, err := p.read("cpuacct.stat")
		if err != nil {
			return err
		}
		ticks := flatKeyed(data)
		s.CPU.User = time.Duration(ticks["user"]) * time.Second / userHZ
		s.CPU.System = time.Duration(ticks["system"]) * time.Second / userHZ
	}
	data, err := p.read("cpuacct.usage_percpu")
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(data) {
		ns, err := strconv.ParseUint(field, 10, 63)
		if err != nil {
			return p.fail("parse", "cpuacct.usage_percpu", err)
		}
		s.CPU.PerCPU = append(s.CPU.PerCPU, time.Duration(ns))
	}
	return nil
}

func (p place) memoryV1(s *Stats) error {
	m := &s.Memory
	sw := &MemSWStats{Limit: Unlimited}
	err := errors.Join(
		p.number("memory.usage_in_bytes", &m.Usage),
		p.number("memory.max_usage_in_bytes", &m.Max),
		p.number("memory.limit_in_bytes", &m.Limit),
		p.number("memory.soft_limit_in_bytes", &m.SoftLimit),
		p.number("memory.failcnt", &m.Failures),
		p.number("memory.kmem.usage_in_bytes", &m.Kernel),
		p.number("memory.memsw.usage_in_bytes", &sw.Usage),
		p.number("memory.memsw.max_usage_in_bytes", &sw.Max),
		p.number("memory.memsw.limit_in_bytes", &sw.Limit),
		p.number("memory.memsw.failcnt", &sw.Failures))
	if err != nil {
		return err
	}
	if sw.Max > 0 || sw.Limit != Unlimited {
		m.MemSW = sw
		m.Swap = sw.Usage - min(sw.Usage, m.Usage)
	}
	if sw.Limit != Unlimited && m.Limit != Unlimited {
		m.SwapLimit = sw.Limit - min(sw.Limit, m.Limit)
	}
	data, err := p.read("memory.stat")
	if err != nil {
		return err
	}
	m.Raw = flatKeyed(data)
	m.Cache, m.Anon, m.InactiveFile = m.Raw["total_cache"], m.Raw["total_rss"], m.Raw["total_inactive_file"]
	m.OOMKills, err = p.oomKillsV1()
	return err
}

func (p place) pidsStats(s *Stats) error {
	return errors.Join(p.number("pids.current", &s.Pids.Current), p.number("pids.max", &s.Pids.Limit))
}

// blkioV1 reads the throttling layer's accounts, which every I/O scheduler feeds; only some kernels have the
// recursive ones.
func (p place) blkioV1(s *Stats) error {
	devices := ioTable{}
	for file, add := range map[string]func(*IOStats, string, uint64){
		"blkio.throttle.io_service_bytes": (*IOStats).addBytes,
		"blkio.throttle.io_serviced":      (*IOStats).addOperations,
	} {
		data, err := p.read(file + "_recursive")
		if gone(err) {
			data, err = p.read(file)
		}
		if err != nil {
			return err
		}
		devices.readBlkio(data, add)
	}
	s.IO = devices.sorted()
	return nil
}

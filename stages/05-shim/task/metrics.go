package task

import (
	"maps"
	"math"
	"slices"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
)

// metrics gives statistics in the types that containerd's clients know, one per cgroup version.
func metrics(mode cgroup.Mode, s *cgroup.Stats) proto.Message {
	if mode == cgroup.V2 {
		return metricsV2(s)
	}
	return metricsV1(s)
}

func metricsV1(s *cgroup.Stats) *v1.Metrics {
	raw := s.Memory.Raw
	m := &v1.Metrics{
		Pids: &v1.PidsStat{Current: s.Pids.Current, Limit: zeroIfUnlimited(s.Pids.Limit)},
		CPU: &v1.CPUStat{
			Usage: &v1.CPUUsage{Total: uint64(s.CPU.Usage), Kernel: uint64(s.CPU.System), User: uint64(s.CPU.User)},
			Throttling: &v1.Throttle{
				Periods: s.CPU.Periods, ThrottledPeriods: s.CPU.ThrottledPeriods, ThrottledTime: uint64(s.CPU.Throttled),
			},
		},
		Memory: &v1.MemoryStat{
			Usage:                   &v1.MemoryEntry{Usage: s.Memory.Usage, Max: s.Memory.Max, Limit: limitV1(s.Memory.Limit), Failcnt: s.Memory.Failures},
			Kernel:                  &v1.MemoryEntry{Usage: s.Memory.Kernel},
			HierarchicalMemoryLimit: raw["hierarchical_memory_limit"], HierarchicalSwapLimit: raw["hierarchical_memsw_limit"],
		},
		Blkio:            &v1.BlkIOStat{},
		MemoryOomControl: &v1.MemoryOomControl{OomKill: s.Memory.OOMKills},
	}
	for _, d := range s.CPU.PerCPU {
		m.CPU.Usage.PerCPU = append(m.CPU.Usage.PerCPU, uint64(d))
	}
	if sw := s.Memory.MemSW; sw != nil {
		m.Memory.Swap = &v1.MemoryEntry{Usage: sw.Usage, Max: sw.Max, Limit: limitV1(sw.Limit), Failcnt: sw.Failures}
	}
	fillMemoryV1(m.Memory, raw)
	fillBlkioV1(m.Blkio, s.IO)
	for _, size := range slices.Sorted(maps.Keys(s.Hugetlb)) {
		h := s.Hugetlb[size]
		m.Hugetlb = append(m.Hugetlb, &v1.HugetlbStat{Pagesize: size, Usage: h.Usage, Max: h.Max, Failcnt: h.Failures})
	}
	return m
}

// fillMemoryV1 copies memory.stat; the numbers are the group's own and, as total_, with those below.
func fillMemoryV1(m *v1.MemoryStat, raw map[string]uint64) {
	for name, field := range map[string]*uint64{
		"cache": &m.Cache, "rss": &m.RSS, "rss_huge": &m.RSSHuge, "mapped_file": &m.MappedFile,
		"dirty": &m.Dirty, "writeback": &m.Writeback, "pgpgin": &m.PgPgIn, "pgpgout": &m.PgPgOut,
		"pgfault": &m.PgFault, "pgmajfault": &m.PgMajFault, "inactive_anon": &m.InactiveAnon,
		"active_anon": &m.ActiveAnon, "inactive_file": &m.InactiveFile, "active_file": &m.ActiveFile,
		"unevictable": &m.Unevictable,
		"total_cache": &m.TotalCache, "total_rss": &m.TotalRSS, "total_rss_huge": &m.TotalRSSHuge,
		"total_mapped_file": &m.TotalMappedFile, "total_dirty": &m.TotalDirty, "total_writeback": &m.TotalWriteback,
		"total_pgpgin": &m.TotalPgPgIn, "total_pgpgout": &m.TotalPgPgOut, "total_pgfault": &m.TotalPgFault,
		"total_pgmajfault": &m.TotalPgMajFault, "total_inactive_anon": &m.TotalInactiveAnon,
		"total_active_anon": &m.TotalActiveAnon, "total_inactive_file": &m.TotalInactiveFile,
		"total_active_file": &m.TotalActiveFile, "total_unevictable": &m.TotalUnevictable,
	} {
		*field = raw[name]
	}
}

func fillBlkioV1(b *v1.BlkIOStat, devices []cgroup.IOStats) {
	for _, d := range devices {
		entry := func(op string, value uint64) *v1.BlkIOEntry {
			return &v1.BlkIOEntry{Op: op, Major: d.Major, Minor: d.Minor, Value: value}
		}
		b.IoServiceBytesRecursive = append(b.IoServiceBytesRecursive,
			entry("Read", d.ReadBytes), entry("Write", d.WriteBytes), entry("Discard", d.DiscardBytes))
		b.IoServicedRecursive = append(b.IoServicedRecursive,
			entry("Read", d.Reads), entry("Write", d.Writes), entry("Discard", d.Discards))
	}
}

func metricsV2(s *cgroup.Stats) *v2.Metrics {
	m := &v2.Metrics{
		Pids: &v2.PidsStat{Current: s.Pids.Current, Limit: zeroIfUnlimited(s.Pids.Limit)},
		CPU: &v2.CPUStat{
			UsageUsec: uint64(s.CPU.Usage.Microseconds()), UserUsec: uint64(s.CPU.User.Microseconds()),
			SystemUsec: uint64(s.CPU.System.Microseconds()), NrPeriods: s.CPU.Periods,
			NrThrottled: s.CPU.ThrottledPeriods, ThrottledUsec: uint64(s.CPU.Throttled.Microseconds()),
			NrBursts: s.CPU.Bursts, BurstUsec: uint64(s.CPU.Burst.Microseconds()),
		},
		Memory: &v2.MemoryStat{
			Usage: s.Memory.Usage, UsageLimit: s.Memory.Limit, MaxUsage: s.Memory.Max,
			SwapUsage: s.Memory.Swap, SwapLimit: s.Memory.SwapLimit,
		},
		MemoryEvents: &v2.MemoryEvents{Max: s.Memory.Failures, Oom: s.Memory.OOM, OomKill: s.Memory.OOMKills},
		Io:           &v2.IOStat{},
	}
	fillMemoryV2(m.Memory, s.Memory.Raw)
	for _, d := range s.IO {
		m.Io.Usage = append(m.Io.Usage, &v2.IOEntry{
			Major: d.Major, Minor: d.Minor, Rbytes: d.ReadBytes, Wbytes: d.WriteBytes, Rios: d.Reads, Wios: d.Writes,
		})
	}
	for _, size := range slices.Sorted(maps.Keys(s.Hugetlb)) {
		h := s.Hugetlb[size]
		m.Hugetlb = append(m.Hugetlb, &v2.HugeTlbStat{Pagesize: size, Current: h.Usage, Max: h.Limit})
	}
	return m
}

func fillMemoryV2(m *v2.MemoryStat, raw map[string]uint64) {
	for name, field := range map[string]*uint64{
		"anon": &m.Anon, "file": &m.File, "kernel_stack": &m.KernelStack, "slab": &m.Slab, "sock": &m.Sock,
		"shmem": &m.Shmem, "file_mapped": &m.FileMapped, "file_dirty": &m.FileDirty,
		"file_writeback": &m.FileWriteback, "anon_thp": &m.AnonThp, "inactive_anon": &m.InactiveAnon,
		"active_anon": &m.ActiveAnon, "inactive_file": &m.InactiveFile, "active_file": &m.ActiveFile,
		"unevictable": &m.Unevictable, "slab_reclaimable": &m.SlabReclaimable,
		"slab_unreclaimable": &m.SlabUnreclaimable, "pgfault": &m.Pgfault, "pgmajfault": &m.Pgmajfault,
	} {
		*field = raw[name]
	}
}

// limitV1 says "no limit" as the kernel does in cgroup v1: the greatest number of whole pages.
func limitV1(limit uint64) uint64 { return min(limit, math.MaxInt64&^4095) }

// zeroIfUnlimited is how containerd shims say "no limit" for processes.
func zeroIfUnlimited(limit uint64) uint64 {
	if limit == cgroup.Unlimited {
		return 0
	}
	return limit
}

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"
)

// budget is what the flags ask for; each method of the planner below turns one into a resource of the spec.
type budget struct {
	memory, swap, reservation string
	cpus                      float64
	shares                    uint64
	pids                      int64
	cpusetCPUs, cpusetMems    string
	ioWeight                  uint16
	unified                   []string
}

func (b *budget) flags(f *pflag.FlagSet) {
	f.StringVarP(&b.memory, "memory", "m", "", "memory limit: bytes, or with b, k, m, g, t; -1 for none")
	f.StringVar(&b.swap, "memory-swap", "", "limit of memory and swap together; -1 for none")
	f.StringVar(&b.reservation, "memory-reservation", "", "memory that is reclaimed last")
	f.Float64Var(&b.cpus, "cpus", 0, "CPUs worth of time: 0.5 is half of one; -1 for no limit")
	f.Uint64VarP(&b.shares, "cpu-shares", "c", 0, "weight against other groups, 2 to 262144 (1024 is usual)")
	f.Int64Var(&b.pids, "pids", 0, "greatest number of processes and threads; -1 for no limit")
	f.StringVar(&b.cpusetCPUs, "cpuset-cpus", "", "the CPUs to run on, such as 0-2,7")
	f.StringVar(&b.cpusetMems, "cpuset-mems", "", "the memory nodes to use")
	f.Uint16Var(&b.ioWeight, "io-weight", 0, "weight against other groups at the disk, 10 to 1000")
	f.StringArrayVar(&b.unified, "unified", nil, "FILE=VALUE for a file of cgroup v2")
}

// resources is pure: the flags in the words of the runtime spec.
func (b *budget) resources() (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{}
	var err error
	m := &specs.LinuxMemory{}
	for _, f := range []struct {
		flag, text string
		to         **int64
	}{{"memory", b.memory, &m.Limit}, {"memory-swap", b.swap, &m.Swap}, {"memory-reservation", b.reservation, &m.Reservation}} {
		if *f.to, err = parseBytes(f.text); err != nil {
			return nil, fmt.Errorf("--%s: %w", f.flag, err)
		}
	}
	if *m != (specs.LinuxMemory{}) {
		r.Memory = m
	}
	if r.CPU, err = b.cpu(); err != nil {
		return nil, err
	}
	if b.pids != 0 {
		r.Pids = &specs.LinuxPids{Limit: &b.pids}
	}
	if b.ioWeight != 0 {
		r.BlockIO = &specs.LinuxBlockIO{Weight: &b.ioWeight}
	}
	for _, u := range b.unified {
		file, value, ok := strings.Cut(u, "=")
		if !ok {
			return nil, fmt.Errorf("--unified %q: want FILE=VALUE", u)
		}
		if r.Unified == nil {
			r.Unified = map[string]string{}
		}
		r.Unified[file] = value
	}
	return r, nil
}

// cpu uses the kernel's usual period of 100 ms.
func (b *budget) cpu() (*specs.LinuxCPU, error) {
	const period = 100000
	c := &specs.LinuxCPU{Cpus: b.cpusetCPUs, Mems: b.cpusetMems}
	if b.shares != 0 {
		c.Shares = &b.shares
	}
	switch {
	case b.cpus == -1:
		c.Quota = new(int64(-1))
	case b.cpus < 0, math.IsNaN(b.cpus), b.cpus > 1<<20:
		return nil, fmt.Errorf("--cpus %v: want a positive number, or -1 for no limit", b.cpus)
	case b.cpus > 0 && b.cpus*period < 1000:
		return nil, fmt.Errorf("--cpus %v: the kernel's least is 0.01", b.cpus)
	case b.cpus > 0:
		c.Quota, c.Period = new(int64(b.cpus*period)), new(uint64(period))
	}
	if *c == (specs.LinuxCPU{}) {
		return nil, nil
	}
	return c, nil
}

// parseBytes reads "64m": a number, with or without a fraction, and a binary unit. "" is nil, "-1" is -1.
func parseBytes(s string) (*int64, error) {
	switch s {
	case "":
		return nil, nil
	case "-1":
		return new(int64(-1)), nil
	}
	text := strings.ToLower(s)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit := strings.TrimSuffix(strings.TrimSuffix(text[len(digits):], "b"), "i")
	shift := strings.Index("kmgt", unit)
	if len(unit) > 1 || shift < 0 {
		return nil, fmt.Errorf("%q: unknown unit %q: want b, k, m, g or t", s, s[len(digits):])
	}
	if unit != "" {
		shift = (shift + 1) * 10
	}
	n, err := strconv.ParseFloat(digits, 64)
	if bytes := n * float64(uint64(1)<<shift); err == nil && bytes >= 1 && bytes < math.MaxInt64 {
		return new(int64(bytes)), nil
	}
	return nil, fmt.Errorf("%q is no size: want a number such as 64m", s)
}

// formatBytes is parseBytes the other way, for people.
func formatBytes(n uint64) string {
	switch {
	case n == math.MaxUint64:
		return "unlimited"
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	}
	units, value := "KMGTPE", float64(n)/1024
	i := 0
	for ; value >= 1024; i++ {
		value /= 1024
	}
	return fmt.Sprintf("%.4g %ciB", value, units[i])
}

package runflags

import (
	"errors"

	"github.com/moby/moby/api/types/container"
	"github.com/spf13/pflag"
)

// Update are the flags of `update`: those limits that can change while a container runs.
type Update struct {
	flags   Flags
	changed func() bool
}

// Bind declares the flags.
func (u *Update) Bind(fs *pflag.FlagSet) {
	f := &u.flags
	u.changed = func() bool {
		given := false
		fs.Visit(func(*pflag.Flag) { given = true })
		return given
	}
	f.changed = fs.Changed
	f.MemorySwappiness = -1
	fs.VarP(sizeFlag(&f.Memory), "memory", "m", "Memory limit")
	fs.Var(sizeFlag(&f.MemoryReservation), "memory-reservation", "Memory soft limit")
	fs.Var(sizeFlag(&f.MemorySwap), "memory-swap", "Swap limit equal to memory plus swap: -1 to enable unlimited swap")
	fs.StringVar(&f.CPUs, "cpus", "", "Number of CPUs")
	fs.Int64VarP(&f.CPUShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	fs.Int64Var(&f.CPUPeriod, "cpu-period", 0, "Limit CPU CFS (Completely Fair Scheduler) period")
	fs.Int64Var(&f.CPUQuota, "cpu-quota", 0, "Limit CPU CFS (Completely Fair Scheduler) quota")
	fs.Int64Var(&f.CPURtPeriod, "cpu-rt-period", 0, "Limit the CPU real-time period in microseconds")
	fs.Int64Var(&f.CPURtRuntime, "cpu-rt-runtime", 0, "Limit the CPU real-time runtime in microseconds")
	fs.StringVar(&f.CpusetCpus, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	fs.StringVar(&f.CpusetMems, "cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)")
	fs.Int64Var(&f.PidsLimit, "pids-limit", 0, "Tune container pids limit (set -1 for unlimited)")
	fs.Uint16Var(&f.BlkioWeight, "blkio-weight", 0, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)")
	fs.StringVar(&f.Restart, "restart", "", "Restart policy to apply when a container exits")
}

// Compile turns the flags into what is to change; fields that were not given are left alone by the daemon.
func (u *Update) Compile() (*container.Resources, *container.RestartPolicy, error) {
	if !u.changed() {
		return nil, nil, errors.New("you must provide one or more flags when using this command")
	}
	r := &Request{HostConfig: &container.HostConfig{}}
	if err := u.flags.limits(r, Sources{}); err != nil {
		return nil, nil, err
	}
	resources := &r.HostConfig.Resources
	resources.BlkioWeight = u.flags.BlkioWeight
	resources.MemorySwappiness, resources.OomKillDisable = nil, nil
	if !u.flags.given("pids-limit") {
		resources.PidsLimit = nil
	}
	policy, err := restartPolicy(u.flags.Restart)
	return resources, &policy, err
}

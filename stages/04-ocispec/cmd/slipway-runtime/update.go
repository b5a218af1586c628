package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-engine/slipway/stages/04-ocispec/resctrl"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

type updateOptions struct {
	resources                             string
	blkioWeight                           uint16
	period, rtPeriod, share               uint64
	burst                                 uint64
	quota, rtRuntime, idle                int64
	cpus, mems, memory, reservation, swap string
	pids                                  int64
	l3, bandwidth, kernel                 string
}

func newUpdate(g *global) *cobra.Command {
	o := new(updateOptions)
	cmd := &cobra.Command{
		Use: "update [flags] CONTAINER", Short: "update container resource constraints",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			if o.kernel != "" {
				g.out.warn("kernel memory limits are ignored")
			}
			r, err := o.read(cmd.Flags(), cmd.InOrStdin())
			if err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			if err := o.resctrl(rt, args[0]); err != nil {
				return err
			}
			return rt.Update(args[0], r)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.resources, "resources", "r", "", `path to the file containing the resources to update or "-" to read from the standard input`)
	f.Uint16Var(&o.blkioWeight, "blkio-weight", 0, "specifies per cgroup weight, range is from 10 to 1000")
	f.Uint64Var(&o.period, "cpu-period", 0, "CPU CFS period to be used for hardcapping (in usecs)")
	f.Int64Var(&o.quota, "cpu-quota", 0, "CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period")
	f.Uint64Var(&o.burst, "cpu-burst", 0, "CPU CFS hardcap burst limit (in usecs)")
	f.Uint64Var(&o.rtPeriod, "cpu-rt-period", 0, "CPU realtime period to be used for hardcapping (in usecs)")
	f.Int64Var(&o.rtRuntime, "cpu-rt-runtime", 0, "CPU realtime hardcap limit (in usecs)")
	f.Uint64Var(&o.share, "cpu-share", 0, "CPU shares (relative weight vs. other containers)")
	f.Int64Var(&o.idle, "cpu-idle", 0, "set cgroup SCHED_IDLE or not, 0: default behavior, 1: SCHED_IDLE")
	f.StringVar(&o.cpus, "cpuset-cpus", "", "CPU(s) to use")
	f.StringVar(&o.mems, "cpuset-mems", "", "memory node(s) to use")
	f.StringVar(&o.memory, "memory", "", "memory limit (in bytes)")
	f.StringVar(&o.reservation, "memory-reservation", "", "memory reservation or soft limit (in bytes)")
	f.StringVar(&o.swap, "memory-swap", "", "total memory usage (memory + swap); set -1 to enable unlimited swap")
	f.StringVar(&o.kernel, "kernel-memory", "", "ignored")
	f.StringVar(&o.kernel, "kernel-memory-tcp", "", "ignored")
	f.Int64Var(&o.pids, "pids-limit", 0, "maximum number of pids allowed in the container")
	f.StringVar(&o.l3, "l3-cache-schema", "", "the string of Intel RDT/CAT L3 cache schema")
	f.StringVar(&o.bandwidth, "mem-bw-schema", "", "the string of Intel RDT/MBA memory bandwidth schema")
	return cmd
}

// read makes the resources from JSON or from the flags that were given.
func (o *updateOptions) read(f *pflag.FlagSet, stdin io.Reader) (*specs.LinuxResources, error) {
	if o.resources != "" {
		return readResources(o.resources, stdin)
	}
	r := &specs.LinuxResources{}
	o.cpu(f, r)
	if f.Changed("blkio-weight") {
		r.BlockIO = &specs.LinuxBlockIO{Weight: &o.blkioWeight}
	}
	if f.Changed("pids-limit") {
		r.Pids = &specs.LinuxPids{Limit: &o.pids}
	}
	return r, o.memoryLimits(r)
}

// resctrl changes the shares of cache and memory bandwidth.
func (o *updateOptions) resctrl(rt *runtime.Runtime, id string) error {
	lines := slices.DeleteFunc([]string{o.l3, o.bandwidth}, func(line string) bool { return line == "" })
	if len(lines) == 0 {
		return nil
	}
	err := rt.UpdateResctrl(id, lines...)
	if errors.Is(err, resctrl.ErrDisabled) {
		return errors.New("Intel RDT is not supported or enabled")
	}
	return err
}

func readResources(name string, stdin io.Reader) (*specs.LinuxResources, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	r := new(specs.LinuxResources)
	if err := json.NewDecoder(stdin).Decode(r); err != nil {
		return nil, fmt.Errorf("resources: %w", err)
	}
	return r, nil
}

func (o *updateOptions) cpu(f *pflag.FlagSet, r *specs.LinuxResources) {
	c := &specs.LinuxCPU{Cpus: o.cpus, Mems: o.mems}
	any := o.cpus != "" || o.mems != ""
	for name, set := range map[string]func(){
		"cpu-period": func() { c.Period = &o.period }, "cpu-quota": func() { c.Quota = &o.quota }, "cpu-burst": func() { c.Burst = &o.burst },
		"cpu-rt-period": func() { c.RealtimePeriod = &o.rtPeriod }, "cpu-rt-runtime": func() { c.RealtimeRuntime = &o.rtRuntime },
		"cpu-share": func() { c.Shares = &o.share }, "cpu-idle": func() { c.Idle = &o.idle },
	} {
		if f.Changed(name) {
			set()
			any = true
		}
	}
	if any {
		r.CPU = c
	}
}

func (o *updateOptions) memoryLimits(r *specs.LinuxResources) error {
	m := &specs.LinuxMemory{}
	for _, f := range []struct {
		name, text string
		to         **int64
	}{{"memory", o.memory, &m.Limit}, {"memory-reservation", o.reservation, &m.Reservation}, {"memory-swap", o.swap, &m.Swap}} {
		if f.text == "" {
			continue
		}
		n, err := bytes(f.text)
		if err != nil {
			return fmt.Errorf("invalid value for %s: %w", f.name, err)
		}
		*f.to, r.Memory = &n, m
	}
	return nil
}

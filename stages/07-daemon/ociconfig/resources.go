package ociconfig

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func (k *compiler) resources() error {
	r, err := Resources(k.c.HostConfig.Resources, k.h.Device)
	if err != nil {
		return err
	}
	k.spec.Linux.Resources = r
	return nil
}

// Resources translates the limits of a container; docker update uses it as well. Zero means no limit.
func Resources(from container.Resources, device func(string) ([]Device, error)) (*specs.LinuxResources, error) {
	io, err := blockIO(from, device)
	if err != nil {
		return nil, err
	}
	out := &specs.LinuxResources{CPU: cpu(from), Memory: memory(from), BlockIO: io}
	if p := from.PidsLimit; p != nil && *p != 0 {
		limit := max(*p, -1)
		out.Pids = &specs.LinuxPids{Limit: &limit}
	}
	return out, nil
}

func cpu(from container.Resources) *specs.LinuxCPU {
	c := specs.LinuxCPU{Cpus: from.CpusetCpus, Mems: from.CpusetMems}
	if from.CPUShares > 0 {
		c.Shares = new(uint64(from.CPUShares))
	}
	period, quota := from.CPUPeriod, from.CPUQuota
	if from.NanoCPUs > 0 {
		period = 100_000 // microseconds, the kernel's default
		quota = from.NanoCPUs * period / 1e9
	}
	if period > 0 {
		c.Period = new(uint64(period))
	}
	if quota != 0 {
		c.Quota = new(quota)
	}
	if from.CPURealtimePeriod > 0 {
		c.RealtimePeriod = new(uint64(from.CPURealtimePeriod))
	}
	if from.CPURealtimeRuntime != 0 {
		c.RealtimeRuntime = new(from.CPURealtimeRuntime)
	}
	if c == (specs.LinuxCPU{}) {
		return nil
	}
	return &c
}

// memory: a limit without a word about swap allows as much swap again, as Docker does.
func memory(from container.Resources) *specs.LinuxMemory {
	m := specs.LinuxMemory{DisableOOMKiller: from.OomKillDisable}
	if from.OomKillDisable != nil && !*from.OomKillDisable {
		m.DisableOOMKiller = nil
	}
	if from.Memory > 0 {
		m.Limit = new(from.Memory)
	}
	switch {
	case from.MemorySwap != 0:
		m.Swap = new(from.MemorySwap)
	case from.Memory > 0:
		m.Swap = new(2 * from.Memory)
	}
	if from.MemoryReservation > 0 {
		m.Reservation = new(from.MemoryReservation)
	}
	if s := from.MemorySwappiness; s != nil && *s >= 0 {
		m.Swappiness = new(uint64(*s))
	}
	if m == (specs.LinuxMemory{}) {
		return nil
	}
	return &m
}

func blockIO(from container.Resources, device func(string) ([]Device, error)) (*specs.LinuxBlockIO, error) {
	io := &specs.LinuxBlockIO{}
	if from.BlkioWeight > 0 {
		io.Weight = new(from.BlkioWeight)
	}
	for _, w := range from.BlkioWeightDevice {
		d, err := one(device, w.Path)
		if err != nil {
			return nil, err
		}
		entry := specs.LinuxWeightDevice{Weight: new(w.Weight)}
		entry.Major, entry.Minor = d.Major, d.Minor
		io.WeightDevice = append(io.WeightDevice, entry)
	}
	for _, list := range []struct {
		from []*blkiodev.ThrottleDevice
		to   *[]specs.LinuxThrottleDevice
	}{
		{from.BlkioDeviceReadBps, &io.ThrottleReadBpsDevice},
		{from.BlkioDeviceWriteBps, &io.ThrottleWriteBpsDevice},
		{from.BlkioDeviceReadIOps, &io.ThrottleReadIOPSDevice},
		{from.BlkioDeviceWriteIOps, &io.ThrottleWriteIOPSDevice},
	} {
		for _, t := range list.from {
			d, err := one(device, t.Path)
			if err != nil {
				return nil, err
			}
			entry := specs.LinuxThrottleDevice{Rate: t.Rate}
			entry.Major, entry.Minor = d.Major, d.Minor
			*list.to = append(*list.to, entry)
		}
	}
	if io.Weight == nil && len(io.WeightDevice)+len(io.ThrottleReadBpsDevice)+len(io.ThrottleWriteBpsDevice)+
		len(io.ThrottleReadIOPSDevice)+len(io.ThrottleWriteIOPSDevice) == 0 {
		return nil, nil
	}
	return io, nil
}

func one(device func(string) ([]Device, error), path string) (Device, error) {
	if device == nil {
		return Device{}, errors.New("no access to devices")
	}
	found, err := device(path)
	if err != nil {
		return Device{}, err
	}
	if len(found) != 1 {
		return Device{}, fmt.Errorf("%s is not a device", path)
	}
	return found[0], nil
}

// defaultDeviceRules are Docker's: nothing but null, zero, full, random, urandom, tty, console; mknod of anything.
func defaultDeviceRules() []specs.LinuxDeviceCgroup {
	rule := func(allow bool, major, minor int64, access string) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: &major, Minor: &minor, Access: access}
	}
	return []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		rule(true, 1, 5, "rwm"), rule(true, 1, 3, "rwm"), rule(true, 1, 9, "rwm"), rule(true, 1, 8, "rwm"),
		rule(true, 5, 0, "rwm"), rule(true, 5, 1, "rwm"),
		rule(false, 10, 229, "rwm"), // fuse
	}
}

// devices: the rules of the devices cgroup, and the nodes that are made in /dev.
func (k *compiler) devices() error {
	hc := k.c.HostConfig
	if hc.Privileged {
		all, err := k.h.Devices()
		if err != nil {
			return err
		}
		for _, d := range all {
			k.spec.Linux.Devices = append(k.spec.Linux.Devices, d.node(d.Path))
		}
		k.spec.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		return nil
	}
	rules := defaultDeviceRules()
	for _, m := range hc.Devices {
		found, err := k.h.Device(m.PathOnHost)
		if err != nil {
			return fmt.Errorf("error gathering device information while adding custom device %q: %w", m.PathOnHost, err)
		}
		inside := m.PathInContainer
		if inside == "" {
			inside = m.PathOnHost
		}
		access := m.CgroupPermissions
		if access == "" {
			access = "rwm"
		}
		for _, d := range found {
			k.spec.Linux.Devices = append(k.spec.Linux.Devices, d.node(inside+strings.TrimPrefix(d.Path, m.PathOnHost)))
			rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access})
		}
	}
	for _, text := range hc.DeviceCgroupRules {
		rule, err := deviceRule(text)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	k.spec.Linux.Resources.Devices = rules
	return nil
}

func (d Device) node(path string) specs.LinuxDevice {
	mode := osFileMode(d.Mode)
	return specs.LinuxDevice{Path: path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &d.UID, GID: &d.GID}
}

// deviceRule parses --device-cgroup-rule: "c 1:3 rwm", with * for any number.
func deviceRule(text string) (specs.LinuxDeviceCgroup, error) {
	m := regexp.MustCompile(`^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$`).FindStringSubmatch(text)
	if m == nil {
		return specs.LinuxDeviceCgroup{}, fmt.Errorf("invalid device cgroup rule format: '%s'", text)
	}
	rule := specs.LinuxDeviceCgroup{Allow: true, Type: m[1], Access: m[4]}
	for i, to := range []**int64{&rule.Major, &rule.Minor} {
		if m[i+2] == "*" {
			continue // absent means any
		}
		n, err := strconv.ParseInt(m[i+2], 10, 32)
		if err != nil {
			return rule, fmt.Errorf("device cgroup rule %q: %w", text, err)
		}
		*to = &n
	}
	return rule, nil
}

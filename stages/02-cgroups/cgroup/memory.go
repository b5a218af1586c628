package cgroup

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// planMemory limits memory and swap. The kernel's memory limits of the spec (deprecated there) are ignored.
func planMemory(now facts, r *specs.LinuxResources) ([]write, error) {
	m := r.Memory
	if m == nil || !(set(m.Limit) || set(m.Swap) || set(m.Reservation) || m.Swappiness != nil || m.DisableOOMKiller != nil) {
		return nil, nil
	}
	version, err := now.need("memory", "a memory limit")
	if err != nil {
		return nil, err
	}
	if set(m.Limit) && set(m.Swap) && *m.Limit > 0 && *m.Swap > 0 && *m.Swap < *m.Limit {
		return nil, fmt.Errorf("memory.swap %d is memory and swap together: it cannot be below memory.limit %d", *m.Swap, *m.Limit)
	}
	if m.CheckBeforeUpdate != nil && *m.CheckBeforeUpdate && set(m.Limit) && *m.Limit > 0 && uint64(*m.Limit) < now.memUsage {
		return nil, fmt.Errorf("memory.limit %d is below the %d bytes in use, and checkBeforeUpdate is set", *m.Limit, now.memUsage)
	}
	if version == 1 {
		return memoryV1(now, m), nil
	}
	return memoryV2(now, m)
}

// memoryV1 keeps the kernel's law that memory.limit <= memory.memsw.limit at every moment: what grows past
// the old memsw limit must move memsw first, everything else the memory limit first.
func memoryV1(now facts, m *specs.LinuxMemory) []write {
	var all []write
	swap := m.Swap
	if set(m.Limit) && *m.Limit == -1 && !set(m.Swap) && !now.noSwap {
		swap = m.Limit // unlimited memory under a memsw limit would be refused
	}
	var limits []write
	if set(m.Limit) {
		limits = append(limits, write{controller: "memory", file: "memory.limit_in_bytes", value: itoa(*m.Limit)})
	}
	if set(swap) {
		limits = append(limits, write{controller: "memory", file: "memory.memsw.limit_in_bytes", value: itoa(*swap), optional: *swap < 0})
	}
	if len(limits) == 2 && uint64(*m.Limit) > now.memSwap { // -1 is the greatest of all
		limits[0], limits[1] = limits[1], limits[0]
	}
	all = append(all, limits...)
	if set(m.Reservation) {
		all = append(all, write{controller: "memory", file: "memory.soft_limit_in_bytes", value: itoa(*m.Reservation)})
	}
	if m.Swappiness != nil {
		all = append(all, write{controller: "memory", file: "memory.swappiness", value: itoa(*m.Swappiness)})
	}
	if off := m.DisableOOMKiller; off != nil {
		value := map[bool]string{true: "1", false: "0"}[*off]
		all = append(all, write{controller: "memory", file: "memory.oom_control", value: value})
	}
	return all
}

// memoryV2 has separate limits for memory and for swap, where the spec (as v1) counts both together.
func memoryV2(now facts, m *specs.LinuxMemory) ([]write, error) {
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		return nil, fmt.Errorf("memory.disableOOMKiller: cgroup v2 has no such switch")
	}
	if m.Swappiness != nil {
		return nil, fmt.Errorf("memory.swappiness: cgroup v2 has none for a group")
	}
	var all []write
	if set(m.Swap) || set(m.Limit) && *m.Limit == -1 {
		swap, err := swapV2(now, m)
		if err != nil {
			return nil, err
		}
		all = append(all, write{controller: "memory", file: "memory.swap.max", value: orMax(swap), optional: swap <= 0})
	}
	if set(m.Limit) {
		all = append(all, write{controller: "memory", file: "memory.max", value: orMax(*m.Limit)})
	}
	if set(m.Reservation) {
		all = append(all, write{controller: "memory", file: "memory.low", value: orMax(*m.Reservation)})
	}
	return all, nil
}

// swapV2 takes the memory limit out of the sum; without a new memory limit it is the present one.
func swapV2(now facts, m *specs.LinuxMemory) (int64, error) {
	if !set(m.Swap) || *m.Swap < 0 {
		return -1, nil
	}
	limit := int64(now.memLimit) // Unlimited becomes -1
	if set(m.Limit) {
		limit = *m.Limit
	}
	switch {
	case limit < 0:
		return 0, fmt.Errorf("memory.swap %d is memory and swap together: it needs a memory.limit to be counted from", *m.Swap)
	case *m.Swap < limit:
		return 0, fmt.Errorf("memory.swap %d is memory and swap together: it cannot be below the memory limit %d", *m.Swap, limit)
	}
	return *m.Swap - limit, nil
}

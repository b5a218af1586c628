package cgroup

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// planMemory limits memory and swap. The spec's limit of the kernel's memory (deprecated there) is ignored: no kernel has it any more.
func planMemory(now facts, r *specs.LinuxResources) ([]write, error) {
	m := r.Memory
	if m == nil || !(AsksMemory(m) || now.version("memory") == 1 && (m.DisableOOMKiller != nil || set(m.KernelTCP))) { //nolint:staticcheck // v1 has it
		return nil, nil
	}
	version, err := now.need("memory", "a memory limit")
	if err != nil {
		return nil, err
	}
	if set(m.Limit) && set(m.Swap) && *m.Limit > 0 && *m.Swap > 0 && *m.Swap < *m.Limit {
		return nil, fmt.Errorf("memory.swap %d is memory and swap together: it cannot be below memory.limit %d", *m.Swap, *m.Limit)
	}
	if err := checkUsage(now, m); err != nil {
		return nil, err
	}
	if version == 1 && set(m.Limit) && *m.Limit > 0 && !set(m.Swap) && uint64(*m.Limit) > now.memSwap {
		return nil, fmt.Errorf("memory.limit %d is above the %d that memory and swap may have together: raise memory.swap with it", *m.Limit, now.memSwap)
	}
	all, err := memoryLimits(version, now, m)
	if err != nil {
		return nil, err
	}
	rest, err := memoryRest(version, m)
	return append(all, rest...), err
}

// AsksMemory tells whether there is anything that cannot be without the controller: 0 and "do not disable" are what is anyway, and a
// swappiness of -1 means none, as with runc (nerdctl and older engines send such words for all containers).
func AsksMemory(m *specs.LinuxMemory) bool {
	return m != nil && (set(m.Limit) || set(m.Swap) || set(m.Reservation) || swappiness(m) != nil || m.DisableOOMKiller != nil && *m.DisableOOMKiller)
}

func swappiness(m *specs.LinuxMemory) *uint64 {
	if m.Swappiness != nil && int64(*m.Swappiness) == -1 {
		return nil
	}
	return m.Swappiness
}

// memoryLimits sets the hard limits. The spec's swap is memory and swap together, as on v1; v2 limits swap alone.
//
// v1 keeps memory.limit <= memory.memsw.limit at every moment: what grows past the old memsw limit must move
// memsw first, everything else the memory limit first.
func memoryLimits(version int, now facts, m *specs.LinuxMemory) ([]write, error) {
	//ex:begin cg.memory-max
	memory, swap := write{controller: "memory", file: "memory.max"}, write{controller: "memory", file: "memory.swap.max"}
	if version == 1 {
		memory.file, swap.file = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	}
	var all []write
	if total := swapTotal(now, m); total != nil {
		sum, err := swapValue(version, now, *total, m)
		if err != nil {
			return nil, err
		}
		swap.value, swap.optional = sum, *total < 0 || sum == "0"
		all = append(all, swap)
	}
	if set(m.Limit) {
		memory.value = limitValue(version, *m.Limit)
		all = append(all, memory)
	}
	if version == 1 && len(all) == 2 && uint64(*m.Limit) <= now.memSwap { // -1 is the greatest of all
		slices.Reverse(all)
	}
	return all, nil
	//ex:stub
	// return nil, todo.Exercise("cg.memory-max")
	//ex:end cg.memory-max
}

// memoryRest: wishes beside the limits.
func memoryRest(version int, m *specs.LinuxMemory) ([]write, error) {
	var all []write
	add := func(file, value string) { all = append(all, write{controller: "memory", file: file, value: value}) }
	if set(m.Reservation) && version == 1 {
		add("memory.soft_limit_in_bytes", itoa(*m.Reservation))
	} else if set(m.Reservation) {
		add("memory.low", orMax(*m.Reservation))
	}
	if n := swappiness(m); n != nil {
		if version == 2 {
			return nil, fmt.Errorf("memory.swappiness: cgroup v2 has none for a group")
		}
		add("memory.swappiness", itoa(*n))
	}
	if n := m.KernelTCP; set(n) && version == 1 { //nolint:staticcheck // v2 counts these buffers as memory
		add("memory.kmem.tcp.limit_in_bytes", limitValue(1, *n))
	}
	if off := m.DisableOOMKiller; off != nil {
		switch {
		case version == 1:
			add("memory.oom_control", map[bool]string{true: "1", false: "0"}[*off])
		case *off:
			return nil, fmt.Errorf("memory.disableOOMKiller: cgroup v2 has no such switch")
		}
	}
	return all, nil
}

// swapTotal is the limit of memory and swap together that was asked for. Unlimited memory means unlimited
// swap, which v1 even insists on.
func swapTotal(now facts, m *specs.LinuxMemory) *int64 {
	switch {
	case set(m.Swap):
		return m.Swap
	case set(m.Limit) && *m.Limit == -1 && !now.noSwap:
		return m.Limit
	}
	return nil
}

// limitValue writes no limit as -1 on v1, as max on v2.
func limitValue(version int, n int64) string {
	if version == 1 {
		return itoa(max(n, -1))
	}
	return orMax(n)
}

// swapValue takes the memory limit out of the total for v2; without a new memory limit it is the present one.
func swapValue(version int, now facts, total int64, m *specs.LinuxMemory) (string, error) {
	if version == 1 || total < 0 {
		return limitValue(version, total), nil
	}
	limit := int64(now.memLimit) // Unlimited becomes -1
	if set(m.Limit) {
		limit = *m.Limit
	}
	switch {
	case limit < 0:
		return "", fmt.Errorf("memory.swap %d is memory and swap together: it needs a memory.limit to be counted from", total)
	case total < limit:
		return "", fmt.Errorf("memory.swap %d is memory and swap together: it cannot be below the memory limit %d", total, limit)
	}
	return itoa(total - limit), nil
}

// checkUsage refuses a limit below what is in use, for those who would rather keep the old limit than lose the group
// to an OOM kill.
func checkUsage(now facts, m *specs.LinuxMemory) error {
	if m.CheckBeforeUpdate == nil || !*m.CheckBeforeUpdate {
		return nil
	}
	for _, l := range []struct {
		name  string
		limit *int64
	}{{"memory+swap", m.Swap}, {"memory", m.Limit}} {
		if set(l.limit) && *l.limit > 0 && uint64(*l.limit) < now.memUsage {
			return fmt.Errorf("rejecting %s limit %d: it is below the %d bytes in use, and checkBeforeUpdate is set", l.name, *l.limit, now.memUsage)
		}
	}
	return nil
}

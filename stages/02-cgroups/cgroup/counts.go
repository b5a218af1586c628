package cgroup

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// planPids limits processes and threads. Any negative number is "no limit"; 0 is taken at its word, and lets
// nothing in the group fork.
func planPids(now facts, r *specs.LinuxResources) ([]write, error) {
	if r.Pids == nil || r.Pids.Limit == nil {
		return nil, nil
	}
	//ex:begin cg.pids-max
	limit := *r.Pids.Limit
	if _, err := now.need("pids", "a limit of processes"); err != nil {
		return nil, err
	}
	value := "max"
	if limit >= 0 {
		value = itoa(limit)
	}
	return []write{{controller: "pids", file: "pids.max", value: value}}, nil
	//ex:stub
	// return nil, todo.Exercise("cg.pids-max")
	//ex:end cg.pids-max
}

// planHugetlb sets both limits, on pages in use and on reservations; the second is there since Linux 5.7.
func planHugetlb(now facts, r *specs.LinuxResources) ([]write, error) {
	if len(r.HugepageLimits) == 0 {
		return nil, nil
	}
	version, err := now.need("hugetlb", "a limit of huge pages")
	if err != nil {
		return nil, err
	}
	suffix := "limit_in_bytes"
	if version == 2 {
		suffix = "max"
	}
	size := regexp.MustCompile(`^[1-9][0-9]*[KMG]B$`)
	var all []write
	for _, h := range r.HugepageLimits {
		if !size.MatchString(h.Pagesize) {
			return nil, fmt.Errorf("hugepageLimits: %q is no page size (such as 2MB)", h.Pagesize)
		}
		prefix, value := "hugetlb."+h.Pagesize+".", itoa(h.Limit)
		all = append(all,
			write{controller: "hugetlb", file: prefix + suffix, value: value},
			write{controller: "hugetlb", file: prefix + "rsvd." + suffix, value: value, optional: true})
	}
	return all, nil
}

// planRdma writes a line for each device, the same on v1 and v2 (rdma.rst).
func planRdma(now facts, r *specs.LinuxResources) ([]write, error) {
	if len(r.Rdma) == 0 {
		return nil, nil
	}
	if _, err := now.need("rdma", "an RDMA limit"); err != nil {
		return nil, err
	}
	var all []write
	for _, device := range sortedKeys(r.Rdma) {
		line := device
		if n := r.Rdma[device].HcaHandles; n != nil {
			line += " hca_handle=" + itoa(*n)
		}
		if n := r.Rdma[device].HcaObjects; n != nil {
			line += " hca_object=" + itoa(*n)
		}
		all = append(all, write{controller: "rdma", file: "rdma.max", value: line})
	}
	return all, nil
}

// planNetwork marks packets: v1 only, v2 left this to BPF.
func planNetwork(now facts, r *specs.LinuxResources) ([]write, error) {
	n := r.Network
	if n == nil {
		return nil, nil
	}
	var all []write
	if n.ClassID != nil && *n.ClassID != 0 {
		if _, err := now.need("net_cls", "network.classID"); err != nil {
			return nil, err
		}
		all = append(all, write{controller: "net_cls", file: "net_cls.classid", value: itoa(*n.ClassID)})
	}
	for _, p := range n.Priorities {
		if _, err := now.need("net_prio", "network.priorities"); err != nil {
			return nil, err
		}
		all = append(all, write{controller: "net_prio", file: "net_prio.ifpriomap", value: fmt.Sprintf("%s %d", p.Name, p.Priority)})
	}
	return all, nil
}

// planUnified passes v2 files through by name, last, so that they win (config-linux.md, "Unified"). A value
// of several lines is several writes: that is how io.max and its like are read.
func planUnified(now facts, r *specs.LinuxResources) ([]write, error) {
	var all []write
	for _, file := range sortedKeys(r.Unified) {
		controller, _, ok := strings.Cut(file, ".")
		if !ok || controller == "" || strings.ContainsAny(file, "/\x00\n") {
			return nil, fmt.Errorf("unified: %q is no cgroup v2 file", file)
		}
		if controller != "cgroup" {
			if v, err := now.need(controller, "unified "+file); err != nil || v != 2 {
				return nil, fmt.Errorf("invalid configuration: %w", &NoControllerError{Controller: controller, For: "unified " + file, Why: "it is not on a cgroup v2 hierarchy here"})
			}
		}
		for _, line := range strings.Split(strings.TrimSuffix(r.Unified[file], "\n"), "\n") {
			all = append(all, write{controller: controller, file: file, value: line})
		}
	}
	return idleLast(all), nil
}

// idleLast moves cpu.idle to the end, if it is to be idle: the weight of an idle group cannot be changed.
func idleLast(all []write) []write {
	at := slices.IndexFunc(all, func(w write) bool { return w.file == "cpu.idle" && strings.TrimSpace(w.value) != "0" })
	if at < 0 {
		return all
	}
	idle := all[at]
	return append(slices.Delete(all, at, at+1), idle)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package tree

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// groups finds the memory of control groups, on v1 and v2.
type groups struct {
	v1, v2 string // where the hierarchies are mounted; "" when they are not
	known  map[string]Memory
}

// newGroups looks for the mounts (proc_pid_mountinfo(5)).
func newGroups(proc string) *groups {
	g := &groups{known: map[string]Memory{}}
	raw, err := os.ReadFile(filepath.Join(proc, "self", "mountinfo"))
	if err != nil {
		return g
	}
	for line := range strings.Lines(string(raw)) {
		before, after, found := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		switch {
		case !found || len(left) < 5 || len(right) < 3:
		case right[0] == "cgroup2" && g.v2 == "":
			g.v2 = left[4]
		case right[0] == "cgroup" && strings.Contains(","+right[2]+",", ",memory,") && g.v1 == "":
			g.v1 = left[4]
		}
	}
	return g
}

// fill sets a process's group and memory. On a hybrid machine the v1 hierarchy
// has the memory controller.
func (g *groups) fill(p *Process, dir string) {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return
	}
	v1, v2 := memoryGroup(string(raw))
	root, usage, limit := g.v2, "memory.current", "memory.max"
	p.Group = v2
	if g.v1 != "" && v1 != "" {
		root, usage, limit, p.Group = g.v1, "memory.usage_in_bytes", "memory.limit_in_bytes", v1
	}
	if root == "" || p.Group == "/" || p.Group == "" {
		return
	}
	at := filepath.Join(root, p.Group)
	if m, ok := g.known[at]; ok {
		p.Memory = m
		return
	}
	p.Memory = Memory{Usage: number(filepath.Join(at, usage)), Limit: number(filepath.Join(at, limit))}
	g.known[at] = p.Memory
}

// memoryGroup reads /proc/PID/cgroup: the path in the v1 memory hierarchy and in v2 (cgroups(7)).
func memoryGroup(text string) (v1, v2 string) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		case strings.Contains(","+parts[1]+",", ",memory,"):
			v1 = parts[2]
		}
	}
	return v1, v2
}

// noLimit is about what v1 shows for "no limit": the largest number of pages.
const noLimit = 1 << 62

// number reads one; 0 when there is none or it says "max".
func number(path string) uint64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || n > noLimit {
		return 0
	}
	return n
}

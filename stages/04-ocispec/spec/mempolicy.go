package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// MemoryPolicy is what set_mempolicy(2) takes.
type MemoryPolicy struct {
	Mode  uint32   // with the flags
	Nodes []uint64 // one bit a node
	Bits  int      // how many of them count; 0: no nodes
}

// maxNode bounds node numbers: kernels know at most 1024 (CONFIG_NODES_SHIFT).
const maxNode = 1023

// ParseMemoryPolicy turns linux.memoryPolicy into numbers (config-linux.md, "Memory Policy"; linux/mempolicy.h).
func ParseMemoryPolicy(p *specs.LinuxMemoryPolicy) (*MemoryPolicy, error) {
	out := new(MemoryPolicy)
	mode, ok := map[specs.MemoryPolicyModeType]uint32{
		specs.MpolDefault: 0, specs.MpolPreferred: 1, specs.MpolBind: 2, specs.MpolInterleave: 3, specs.MpolLocal: 4,
		specs.MpolPreferredMany: 5, specs.MpolWeightedInterleave: 6,
	}[p.Mode]
	if !ok {
		return nil, fmt.Errorf("invalid memory policy mode %q", p.Mode)
	}
	out.Mode = mode
	for _, f := range p.Flags {
		bit, ok := map[specs.MemoryPolicyFlagType]uint32{
			specs.MpolFStaticNodes: 1 << 15, specs.MpolFRelativeNodes: 1 << 14, specs.MpolFNumaBalancing: 1 << 13,
		}[f]
		if !ok {
			return nil, fmt.Errorf("invalid memory policy flag %q", f)
		}
		out.Mode |= bit
	}
	nodes, err := nodeSet(p.Nodes)
	if err != nil {
		return nil, err
	}
	if n := len(nodes); n > 0 && (p.Mode == specs.MpolDefault || p.Mode == specs.MpolLocal) {
		return nil, fmt.Errorf("invalid memory policy: %s mode requires 0 nodes but got %d", p.Mode, n)
	}
	for n := range nodes {
		for len(out.Nodes) <= n/64 {
			out.Nodes = append(out.Nodes, 0)
		}
		out.Nodes[n/64] |= 1 << (n % 64)
	}
	if out.Nodes != nil {
		out.Bits = len(out.Nodes)*64 + 1 // the kernel counts one less (get_mempolicy(2), BUGS of its mask's length)
	}
	return out, nil
}

// nodeSet reads "0-3,7".
func nodeSet(list string) (map[int]bool, error) {
	nodes := map[int]bool{}
	if strings.TrimSpace(list) == "" {
		return nodes, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 0 || b < a || b > maxNode {
			return nil, fmt.Errorf("invalid memory policy node %q: nodes are 0 to %d", part, maxNode)
		}
		for n := a; n <= b; n++ {
			nodes[n] = true
		}
	}
	return nodes, nil
}

package tree

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Build arranges processes below the roots that pick chooses. A root whose
// ancestor is chosen too stands below it.
func Build(f Facts, pick func(Process) bool) []*Node {
	nodes := map[int]*Node{}
	for _, p := range f.Processes {
		nodes[p.Pid] = &Node{Process: p}
	}
	var roots []*Node
	for _, pid := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[pid]
		if parent := nodes[n.Parent]; parent != nil && parent != n {
			parent.Children = append(parent.Children, n)
			n.Apart = apart(n.Namespaces, parent.Namespaces)
		}
		if pick(n.Process) {
			roots = append(roots, n)
		}
	}
	return slices.DeleteFunc(roots, func(n *Node) bool { return below(n, nodes, pick) })
}

// below says whether an ancestor is chosen too. The walk is bounded: procfs is
// not read at one instant, so two processes may each name the other as parent.
func below(n *Node, nodes map[int]*Node, pick func(Process) bool) bool {
	for range len(nodes) {
		n = nodes[n.Parent]
		if n == nil {
			return false
		}
		if pick(n.Process) {
			return true
		}
	}
	return false
}

// apart lists the namespaces that differ, in the kernel's usual order.
func apart(mine, parents map[string]uint64) []string {
	var names []string
	for name, inode := range mine {
		if other, known := parents[name]; known && other != inode {
			names = append(names, name)
		}
	}
	order := []string{"user", "pid", "mnt", "net", "uts", "ipc", "cgroup", "time"}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(slices.Index(order, a), slices.Index(order, b))
	})
	return names
}

// Engine chooses the processes of an engine: ours, and containerd's and Docker's
// when they are what runs.
func Engine(p Process) bool {
	for _, name := range []string{"slipway-daemon", "slipway-manager", "slipway-shim", "containerd", "containerd-shim", "dockerd"} {
		if p.Name == name || len(p.Name) == 15 && strings.HasPrefix(name, p.Name) {
			return true
		}
	}
	return false
}

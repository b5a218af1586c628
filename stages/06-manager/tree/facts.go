// Package tree shows the engine as the kernel sees it: daemon, manager, shims and
// containers as one tree of processes, each with the pids it has inside, the
// namespaces that are not its parent's, and the memory of its control group.
//
// Facts are read from procfs in one go (read.go); everything after that is a
// pure function over them (build.go, print.go), so a recorded moment can be
// shown again, and tests need no engine.
package tree

// Facts is one moment.
type Facts struct {
	Processes []Process `json:"processes"`
}

// Process is what procfs says of one process.
type Process struct {
	Pid        int               `json:"pid"`
	Parent     int               `json:"ppid"`
	Name       string            `json:"name"`       // comm: at most 15 characters
	Args       []string          `json:"args"`       // empty for a zombie
	State      string            `json:"state"`      // R, S, D, Z, T, …
	Inside     []int             `json:"inside"`     // NSpid after the first: its pids in the namespaces below ours
	Namespaces map[string]uint64 `json:"namespaces"` // name → inode; empty when we may not look
	Group      string            `json:"cgroup"`     // path of the group with the memory controller
	Memory     Memory            `json:"memory"`
}

// Memory is what a control group uses and may use, in bytes; 0 is unknown or no limit.
type Memory struct {
	Usage uint64 `json:"usage"`
	Limit uint64 `json:"limit,omitempty"`
}

// Node is a process with its children.
type Node struct {
	Process
	// Apart are the namespaces that are not the parent's, in order.
	Apart    []string `json:"apart,omitempty"`
	Children []*Node  `json:"children,omitempty"`
}

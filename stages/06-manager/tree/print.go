package tree

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/docker/go-units"
)

// Print writes the trees as text, one process a line.
func Print(w io.Writer, roots []*Node) error {
	for _, n := range roots {
		if err := printNode(w, n, "", ""); err != nil {
			return err
		}
	}
	return nil
}

func printNode(w io.Writer, n *Node, first, rest string) error {
	if _, err := fmt.Fprintf(w, "%s%s\n", first, Line(n)); err != nil {
		return err
	}
	for i, c := range n.Children {
		branch, indent := "├─ ", "│  "
		if i == len(n.Children)-1 {
			branch, indent = "└─ ", "   "
		}
		if err := printNode(w, c, rest+branch, rest+indent); err != nil {
			return err
		}
	}
	return nil
}

// Line describes one process:
//
//	sleep 9041 (inside 1)  own pid mnt net uts ipc  /default/web 0.6MiB of 64MiB  sleep 1000
func Line(n *Node) string {
	parts := []string{fmt.Sprintf("%s %d%s", n.Name, n.Pid, inside(n.Inside))}
	if n.State == "Z" {
		parts = append(parts, "defunct")
	}
	if len(n.Apart) > 0 {
		// A new namespace is what makes it a container: only then its group is of interest.
		parts = append(parts, "own "+strings.Join(n.Apart, " "), group(n.Process))
	}
	if id := shimID(n.Args); id != "" {
		parts = append(parts, "of "+id)
	} else if len(n.Apart) > 0 || n.inContainer() {
		parts = append(parts, strings.Join(n.Args, " "))
	}
	return strings.Join(compact(parts), "  ")
}

func (p Process) inContainer() bool { return len(p.Inside) > 0 }

func inside(pids []int) string {
	if len(pids) == 0 {
		return ""
	}
	return " (inside " + strings.Trim(fmt.Sprint(pids), "[]") + ")"
}

func group(p Process) string {
	if p.Memory.Usage == 0 {
		return p.Group
	}
	text := path.Clean("/"+p.Group) + " " + units.BytesSize(float64(p.Memory.Usage))
	if p.Memory.Limit > 0 {
		text += " of " + units.BytesSize(float64(p.Memory.Limit))
	}
	return text
}

// shimID finds whose shim it is, in containerd's flags.
func shimID(args []string) string {
	for i, a := range args {
		if (a == "-id" || a == "--id") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func compact(parts []string) []string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

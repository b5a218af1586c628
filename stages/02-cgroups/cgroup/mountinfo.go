package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// mount is what a line of mountinfo says of a cgroup mount.
type mount struct {
	root, point, fstype string
	options             []string // of the superblock: on v1 the controllers are among them
}

// readMountinfo picks the cgroup mounts out of a mountinfo file, in its order (proc_pid_mountinfo(5)).
func readMountinfo(r io.Reader) ([]mount, error) {
	var mounts []mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay with many lower layers makes long lines
	for lines.Scan() {
		m, err := parseMount(lines.Text())
		if err != nil {
			return nil, err
		}
		if m.fstype == "cgroup" || m.fstype == "cgroup2" {
			mounts = append(mounts, m)
		}
	}
	return mounts, lines.Err()
}

// parseMount reads "36 35 98:0 /root /point rw,opts [optional...] - type source superopts".
func parseMount(line string) (mount, error) {
	left, right, ok := strings.Cut(line, " - ")
	before, after := strings.Fields(left), strings.Split(right, " ")
	if !ok || len(before) < 6 || len(after) < 3 {
		return mount{}, fmt.Errorf("mountinfo: malformed line %q", line)
	}
	return mount{
		root:    unescape(before[3]),
		point:   unescape(before[4]),
		fstype:  after[0],
		options: strings.Split(after[len(after)-1], ","),
	}, nil
}

// unescape undoes the kernel's octal escapes for space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// membership is a line of /proc/PID/cgroup: "4:memory:/user" or, for v2, "0::/user" (cgroups(7)).
type membership struct {
	controllers []string // empty for v2
	path        string
}

func readMemberships(r io.Reader) ([]membership, error) {
	var all []membership
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "/") {
			return nil, fmt.Errorf("/proc/PID/cgroup: malformed line %q", lines.Text())
		}
		m := membership{path: strings.TrimSuffix(parts[2], " (deleted)")}
		if parts[1] != "" {
			m.controllers = strings.Split(parts[1], ",")
		}
		all = append(all, m)
	}
	return all, lines.Err()
}

// in reports whether the line speaks of hierarchy t.
func (m membership) in(t *tree) bool {
	if t.version == 2 {
		return len(m.controllers) == 0
	}
	return len(m.controllers) > 0 && slices.Contains(t.controllers, m.controllers[0])
}

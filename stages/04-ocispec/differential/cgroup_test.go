package differential

import (
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
)

// budgets are the files of a cgroup that hold what a configuration asks for, on v1 and on v2.
var budgets = []string{
	"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swappiness", "memory.oom_control",
	"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.idle", "cpuset.cpus", "cpuset.mems",
	"pids.max", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device",
	"net_cls.classid", "net_prio.ifpriomap", "devices.list", "freezer.state",
	"memory.max", "memory.low", "memory.high", "memory.swap.max", "memory.oom.group", "cpu.weight", "cpu.max", "cpu.max.burst", "io.max", "io.weight",
}

// cgroups reads the container's groups in every hierarchy.
func (f Facts) cgroups(path string) {
	for _, dir := range hierarchies() {
		group := filepath.Join(dir, path)
		if _, err := os.Stat(group); err != nil {
			f["cgroup of "+filepath.Base(dir)] = "none"
			continue
		}
		for _, name := range budgets {
			if text, err := os.ReadFile(filepath.Join(group, name)); err == nil {
				f["cgroup "+name] = inOrder(string(text))
			}
		}
	}
}

// inOrder: a device list's order is that of the writing, which is nobody's business.
func inOrder(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// hierarchies are the cgroup mounts that hold controllers.
func hierarchies() []string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if r[0] == "cgroup" && l[3] == "/" || r[0] == "cgroup2" && l[4] == "/sys/fs/cgroup" {
			dirs = append(dirs, l[4])
		}
	}
	return dirs
}

// removeParent removes the group that those of the cases lay in.
func removeParent(path string) error {
	layout, err := cgroup.Detect()
	if err != nil {
		return nil // then no group was made
	}
	group, err := layout.Group(path)
	if err != nil {
		return err
	}
	return group.Remove(contextOfMain())
}

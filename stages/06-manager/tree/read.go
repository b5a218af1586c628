package tree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Read takes the facts from procfs (proc is "/proc"). A process that ends
// meanwhile is left out.
func Read(proc string) (Facts, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return Facts{}, err
	}
	groups := newGroups(proc)
	var f Facts
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := readProcess(filepath.Join(proc, e.Name()), pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return f, err
		}
		if p.Parent == 2 || p.Pid == 2 {
			continue // kernel threads
		}
		groups.fill(&p, filepath.Join(proc, e.Name()))
		f.Processes = append(f.Processes, p)
	}
	return f, nil
}

func readProcess(dir string, pid int) (Process, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Process{}, err
	}
	p := parseStatus(string(raw))
	p.Pid = pid
	// What follows is empty for a zombie, and forbidden for others' processes: then it stays unknown.
	if raw, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		p.Args = strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")
	}
	p.Namespaces = map[string]uint64{}
	for _, name := range []string{"user", "pid", "mnt", "net", "uts", "ipc", "cgroup", "time"} {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, "ns", name), &st) == nil {
			p.Namespaces[name] = st.Ino
		}
	}
	return p, nil
}

// parseStatus reads the fields we show (proc_pid_status(5)).
func parseStatus(text string) Process {
	var p Process
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(value)
		switch {
		case len(fields) == 0:
		case key == "Name":
			p.Name = strings.TrimSpace(value)
		case key == "State":
			p.State = fields[0]
		case key == "PPid":
			p.Parent, _ = strconv.Atoi(fields[0]) // the kernel writes numbers
		case key == "NSpid":
			for _, f := range fields[1:] {
				n, _ := strconv.Atoi(f)
				p.Inside = append(p.Inside, n)
			}
		}
	}
	return p
}

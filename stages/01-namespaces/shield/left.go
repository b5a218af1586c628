package shield

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a process may take to die after the tests have ended.
const patience = 2 * time.Second

// stillRunning names the processes that the tests started and did not end, and ends them. Those that are dying are not among
// them: the tests cannot know when the kernel is ready.
func stillRunning(proc *os.Root) []string {
	var left []string
	var pids []int
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		for { // who has died meanwhile
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid == 0 {
				break
			}
		}
		left, pids = descendants(proc, os.Getpid())
		if len(left) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL) // ESRCH: it has gone by itself
	}
	return left
}

// descendants are the processes below root that are alive.
func descendants(proc *os.Root, root int) (names []string, pids []int) {
	parent, alive := map[int]int{}, map[int]string{}
	stats, _ := fs.Glob(proc.FS(), "[0-9]*/stat")
	for _, file := range stats {
		b, err := proc.ReadFile(file)
		comm, rest, ok := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if err != nil || !ok || len(f) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(path.Dir(file))
		parent[pid], _ = strconv.Atoi(f[1])
		if f[0] != "Z" && f[0] != "X" {
			_, alive[pid], _ = strings.Cut(comm, "(")
		}
	}
	for pid, comm := range alive {
		up := parent[pid]
		for up != root && up > 1 {
			up = parent[up]
		}
		if up == root && pid != root {
			pids = append(pids, pid)
			names = append(names, fmt.Sprintf("process %d: %s", pid, command(proc, pid, comm)))
		}
	}
	slices.Sort(names)
	return names, pids
}

func command(proc *os.Root, pid int, comm string) string {
	b, err := proc.ReadFile(strconv.Itoa(pid) + "/cmdline")
	if text := strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")); err == nil && text != "" {
		return text
	}
	return "[" + comm + "]"
}

// tidy takes away what a mount namespace does not: the files that ip-netns(8) binds namespaces to lie in the host's /run.
func tidy(proc *os.Root, before Print) {
	b, err := proc.ReadFile("self/mountinfo")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[4], "/run/netns/") || !strings.Contains(line, " - nsfs ") || before["namespace kept at "+f[4]] > 0 {
			continue
		}
		if err := unix.Unmount(f[4], unix.MNT_DETACH); err == nil {
			err = os.Remove(f[4])
			if err != nil {
				fmt.Fprintln(os.Stderr, "shield:", err)
			}
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// meter is a cgroup in every hierarchy, whose CPU time is read around each measurement. This program itself moves to a group
// below it, so that on v2 no group holds both processes and groups.
type meter struct {
	name  string   // of the group, counted from the mount points
	trees []string // mount points
	usage string   // the file with the CPU time
}

// sample is one measurement.
type sample struct{ cpu, wall time.Duration }

func newMeter() (*meter, error) {
	m := &meter{name: fmt.Sprintf("/slipway-bench-%d", os.Getpid())}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		point, kind := strings.Fields(left)[4], strings.Fields(right)
		if kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		m.trees = append(m.trees, point)
		switch {
		case kind[0] == "cgroup" && strings.Contains(","+kind[2]+",", ",cpuacct,"):
			m.usage = point + m.name + "/cpuacct.usage"
		case kind[0] == "cgroup2" && m.usage == "":
			m.usage = point + m.name + "/cpu.stat"
		}
	}
	home := strings.TrimSuffix(strings.TrimSuffix(m.usage, "/cpuacct.usage"), "/cpu.stat") + "/bench"
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	return m, os.WriteFile(home+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0o644)
}

// close goes back to the root and removes the groups, those that runtimes left too.
func (m *meter) close() error {
	for _, t := range m.trees {
		if err := os.WriteFile(t+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return err
		}
		var dirs []string
		_ = filepath.WalkDir(t+m.name, func(path string, d os.DirEntry, err error) error { // one that is not there has nothing to remove
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := syscall.Rmdir(dirs[i]); err != nil {
				return fmt.Errorf("rmdir %s: %w", dirs[i], err)
			}
		}
	}
	return nil
}

// used is what the group has used since it was made: nanoseconds on v1, a line in microseconds on v2.
func (m *meter) used() (time.Duration, error) {
	text, err := os.ReadFile(m.usage)
	if err != nil {
		return 0, err
	}
	unit := time.Nanosecond
	if _, rest, ok := bytes.Cut(text, []byte("usage_usec ")); ok {
		text, _, _ = bytes.Cut(rest, []byte("\n"))
		unit = time.Microsecond
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return time.Duration(n) * unit, err
}

// own is what this program has used.
func own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs commands one after the other.
func (m *meter) measure(list [][]string) (sample, error) {
	before, err := m.used()
	if err != nil {
		return sample{}, err
	}
	self, start := own(), time.Now()
	for _, args := range list {
		if err := command(args); err != nil {
			return sample{}, err
		}
	}
	s := sample{wall: time.Since(start)}
	after, err := m.used()
	s.cpu = after - before - (own() - self)
	return s, err
}

// command runs one, with files for its streams: a container that stays would hold a pipe open.
func command(args []string) error {
	out, err := os.CreateTemp("/dev/shm", "bench-out-")
	if err != nil {
		return err
	}
	defer out.Close()
	if err := os.Remove(out.Name()); err != nil {
		return err
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", out.Fd()))
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return nil
}

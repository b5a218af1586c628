package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Pids lists the processes directly in the group, sorted. A process of a pid namespace that the caller
// cannot see is 0 to the kernel, and is left out.
func (g *Group) Pids() ([]int, error) {
	p, err := g.members()
	if err != nil {
		return nil, err
	}
	return p.pids()
}

// AllPids lists the processes in the group and in all groups below it, sorted.
func (g *Group) AllPids() ([]int, error) {
	p, err := g.members()
	if err != nil {
		return nil, err
	}
	return p.allPids()
}

func (p place) pids() ([]int, error) {
	data, err := p.read("cgroup.procs")
	if errors.Is(err, unix.EOPNOTSUPP) { // a threaded v2 group lists its processes in the domain above
		data, err = p.read("cgroup.threads")
	}
	if gone(err) {
		return nil, &fs.PathError{Op: "find", Path: "cgroup " + p.String(), Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return parsePids(data)
}

func parsePids(data string) ([]int, error) {
	var pids []int
	for _, field := range strings.Fields(data) {
		pid, err := strconv.Atoi(field)
		if err != nil || pid < 0 {
			return nil, fmt.Errorf("cgroup.procs: %q is no process id", field)
		}
		if pid > 0 { // 0 must never reach kill(2): there it means the caller's own process group
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// allPids walks down; a group that goes away meanwhile has nobody in it.
func (p place) allPids() ([]int, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	below, err := p.children()
	if err != nil && !gone(err) {
		return nil, err
	}
	for _, c := range below {
		more, err := c.allPids()
		if err != nil && !gone(err) {
			return nil, err
		}
		pids = append(pids, more...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// gone: the group was removed, before the open (ENOENT) or after it (ENODEV).
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
)

// The tests of the exercises. Each looks at the kernel's own files, and says what it saw.

// TestCreate is the test of cg.create.
func TestCreate(t *testing.T) {
	g := nameGroup(t)
	err := g.Create()
	teach.Begun(t, err)
	d := teach.Diagnosis{
		Exercise: "cg.create", Title: "a group exists in every hierarchy and can hold processes",
		Did: "called your Create() for " + g.path, Read: "docs/02-cgroups.md#create",
	}
	if absent := absent(g); err != nil || len(absent) > 0 {
		d.Code = "CG-CREATE-1"
		d.Saw = fmt.Sprintf("error: %v\nno directory:\n%s", err, few(absent))
		d.Want = "no error, and one directory in each mounted hierarchy"
		d.Means = "on v1 each controller is a tree of its own. A process in a group of the memory tree is still in the root of the pids tree: it has one budget and not the other."
		d.Try = "grep cgroup /proc/self/mountinfo"
		teach.Fail(t, d)
	}
	canHold(t, g, d)
	leavesNothing(t, g, d)
}

// absent lists the hierarchies without the group.
func absent(g *Group) (list []string) {
	for _, p := range g.places {
		if !p.exists() {
			list = append(list, p.String())
		}
	}
	return list
}

// few keeps a list short enough to be read.
func few(lines []string) string {
	const most = 4
	if len(lines) > most {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	return strings.Join(lines, "\n")
}

func canHold(t *testing.T, g *Group, d teach.Diagnosis) {
	t.Helper()
	h := start(t, "sleep")
	if p, ok := g.at("cpuset"); ok && p.tree.version == 1 {
		cpus, _ := p.read("cpuset.cpus")
		mems, _ := p.read("cpuset.mems")
		if err := p.join(h.Process.Pid); err != nil {
			d.Code = "CG-CREATE-2"
			d.Saw = fmt.Sprintf("%v\nthere: cpuset.cpus %q  cpuset.mems %q", err, cpus, mems)
			d.Want = "a process can join; cpuset.cpus and cpuset.mems as in the group above"
			d.Means = "a new v1 cpuset may use no CPU and no memory node, so the kernel lets nobody in: ENOSPC, \"no space left on device\", and the disk has nothing to do with it. Both files must be filled from the parent, from the top down."
			d.Try = "cat /sys/fs/cgroup/cpuset/cpuset.cpus"
			teach.Fail(t, d)
		}
	}
	if p := g.places[0]; g.layout.mode == V2 {
		on, _ := p.read("cgroup.controllers")
		if lacks := missing(p.tree.controllers, strings.Fields(on)); len(lacks) > 0 {
			d.Code = "CG-CREATE-4"
			d.Saw = fmt.Sprintf("%s/cgroup.controllers: %q\nwithout: %s", p, on, strings.Join(lacks, " "))
			d.Want = "every controller of the root: " + strings.Join(p.tree.controllers, " ")
			d.Means = "a v2 controller arrives in a group only if cgroup.subtree_control of every group above names it. Until then its files do not exist, and a limit has no place to be written to."
			d.Try = "cat " + path.Dir(p.String()) + "/cgroup.subtree_control"
			teach.Fail(t, d)
		}
	}
	require.NoError(t, g.Join(h.Process.Pid))
}

// leavesNothing makes Create fail half-way: a file is in the way, in one hierarchy, one level down.
func leavesNothing(t *testing.T, g *Group, d teach.Diagnosis) {
	t.Helper()
	file := "memory.stat"
	if g.layout.mode == V2 {
		file = "cgroup.procs"
	}
	name := testRoot() + "/half-made"
	broken, err := g.layout.Group(name + "/" + file)
	require.NoError(t, err)
	createErr := broken.Create()
	require.Error(t, createErr, "a file is in the way")
	half, err := g.layout.Group(name)
	require.NoError(t, err)
	var left []string
	for _, p := range half.places {
		if p.exists() {
			left = append(left, p.String())
		}
	}
	if len(left) > 0 {
		d.Code = "CG-CREATE-3"
		d.Did = fmt.Sprintf("called your Create() for %s, where the kernel has a file of that name in one hierarchy", broken.path)
		d.Saw = fmt.Sprintf("%v  (good)\nleft behind:\n%s", createErr, few(left))
		d.Want = "what was made before the failure is removed again"
		d.Means = "Create removes what makeEverywhere says it made. It must say so when it fails, too: return the list together with the error."
		d.Try = "find /sys/fs/cgroup -name half-made"
		teach.Fail(t, d)
	}
}

// TestMemoryMax is the test of cg.memory-max.
func TestMemoryMax(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory")
	neighbour, err := g.layout.Group(testRoot() + "/neighbour")
	require.NoError(t, err)
	require.NoError(t, neighbour.Create())
	d := teach.Diagnosis{
		Exercise: "cg.memory-max", Title: "a group over its limit is killed, others live", Read: "docs/02-cgroups.md#memory",
	}
	err = g.Set(memoryLimit(32 << 20))
	teach.Begun(t, err)
	require.NoError(t, err)
	next, _ := inside(t, neighbour, "sleep")
	_, said := inside(t, g, "eat 64")
	p, _ := g.at("memory")
	if said != "died" {
		d.Code, d.Did = "CG-MEM-2", "set memory.limit = 32 MiB with your limits; ran a program in the group that touches 64 MiB"
		d.Saw = fmt.Sprintf("the program said %q.  In %s:\n%s", said, p, limits(p))
		d.Want = "memory.max (v1: memory.limit_in_bytes) = 33554432, and the program killed"
		d.Means = "nothing stopped it, so the hard limit is not the file that was written. memory.high and v1's soft limit only make the kernel reclaim harder."
		d.Try = "limit run -m 32m -- tail /dev/zero; echo $?"
		teach.Fail(t, d)
	}
	kills, err := g.OOMKills()
	require.NoError(t, err)
	require.NotZero(t, kills)
	require.NoError(t, next.Process.Signal(syscall.Signal(0)), "the neighbour lives")
	limitsMove(t, g, d)
	swapIsASum(t, d)
}

// limits shows the files that could have been written.
func limits(p place) string {
	var lines []string
	for _, f := range []string{"memory.max", "memory.high", "memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.memsw.limit_in_bytes"} {
		if value, err := p.read(f); err == nil {
			lines = append(lines, f+" = "+value)
		}
	}
	return strings.Join(lines, "\n")
}

func limitsMove(t *testing.T, g *Group, d teach.Diagnosis) {
	t.Helper()
	p, _ := g.at("memory")
	if !p.has("memory.memsw.limit_in_bytes") {
		return // v2's limits know no order; v1's without swap accounting has one file
	}
	for _, mib := range []int64{64, 256, 64} {
		before := limits(p)
		err := g.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(mib << 20), Swap: new(mib << 21)}})
		if err != nil {
			d.Code, d.Did = "CG-MEM-1", fmt.Sprintf("set memory.limit = %d MiB and memory.swap = %d MiB on a group that had", mib, mib*2)
			d.Did += "\n" + before
			d.Saw = err.Error()
			d.Want = "no error: both limits can be raised and lowered"
			d.Means = "v1 refuses (EINVAL) every moment in which memory and swap together may have less than memory alone. So the order of the two writes depends on the old values: going up one must move first, going down the other."
			d.Try = "write the two files by hand, in both orders"
			teach.Fail(t, d)
		}
	}
}

// swapIsASum asks for the plan of v2, whatever this machine has.
func swapIsASum(t *testing.T, d teach.Diagnosis) {
	t.Helper()
	m := &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(96 << 20))}
	writes, err := memoryLimits(2, facts{memLimit: Unlimited, memSwap: Unlimited}, m)
	require.NoError(t, err)
	i := slices.IndexFunc(writes, func(w write) bool { return w.file == "memory.swap.max" })
	if i >= 0 && writes[i].value == itoa(32<<20) {
		return
	}
	d.Code, d.Did = "CG-MEM-3", "asked for your plan on v2: memory.limit = 67108864, memory.swap = 100663296"
	for _, w := range writes {
		d.Saw += w.String() + "\n"
	}
	d.Want = "memory.swap.max <- 33554432"
	d.Means = "the spec's swap is memory and swap together, because v1 counts so. v2 limits swap alone: what v1's number holds too much is the memory."
	d.Try = "man systemd.resource-control, MemorySwapMax"
	teach.Fail(t, d)
}

// TestKill is the test of cg.kill.
func TestKill(t *testing.T) {
	g := newGroup(t)
	for name, job := range map[string]string{"/a": "stubborn", "/b/c": "fork 3"} {
		child, err := g.layout.Group(g.path + name)
		require.NoError(t, err)
		require.NoError(t, child.Create())
		_, said := inside(t, child, job)
		require.Equal(t, "done", said)
	}
	before, err := g.AllPids()
	require.NoError(t, err)
	killErr := g.Kill(within(t, 3*time.Second))
	teach.Begun(t, killErr)
	left, err := g.AllPids()
	require.NoError(t, err)
	if len(left) == 0 && killErr == nil {
		return
	}
	d := teach.Diagnosis{
		Exercise: "cg.kill", Title: "nothing of a group survives, however it forks",
		Did:  fmt.Sprintf("put %d processes into two groups below %s, one of which ignores SIGTERM; called your Kill()", len(before), g.path),
		Saw:  fmt.Sprintf("error: %v\nalive after 3 s: %v\nfrozen: %v", killErr, left, frozenBelow(g)),
		Want: "no process left, nothing frozen", Read: "docs/02-cgroups.md#kill",
	}
	own, err := g.Pids()
	require.NoError(t, err)
	switch {
	case frozenBelow(g):
		d.Code = "CG-KILL-1"
		d.Means = "the signal is there (see SigPnd and ShdPnd), but a process that is frozen on v1 does not even die. Freezing keeps them from forking while they are signalled; afterwards they must be thawed."
		d.Try = fmt.Sprintf("grep -E 'State|Pnd' /proc/%d/status", left[0])
	case len(own) == 0 && len(left) == len(before):
		d.Code = "CG-KILL-2"
		d.Means = "all of them are in groups below yours, and none got a signal. A container may make groups of its own: its processes are those of the whole subtree."
		d.Try = "find " + g.places[0].String() + " -name cgroup.procs | xargs grep ."
	default:
		d.Code = "CG-KILL-3"
		d.Means = "some got the signal and live. Which signal can a program not ignore?"
		d.Try = fmt.Sprintf("grep -E 'State|SigIgn' /proc/%d/status", left[0])
	}
	teach.Fail(t, d)
}

func frozenBelow(g *Group) bool {
	f, err := g.Frozen()
	return err == nil && f
}

// TestBirth is the test of cg.birth.
func TestBirth(t *testing.T) {
	g := newGroup(t)
	files, err := g.JoinFiles()
	teach.Begun(t, err)
	require.NoError(t, err)
	defer closeAll(files)
	said := bear(t, files)
	d := teach.Diagnosis{
		Exercise: "cg.birth", Title: "a program is in its group before its first instruction",
		Did:  fmt.Sprintf("gave your %d files to a new process; one of its threads wrote \"0\" to each", len(files)),
		Read: "docs/02-cgroups.md#birth",
	}
	if said.err != "" {
		d.Code, d.Saw, d.Want = "CG-BIRTH-2", said.err, "each write succeeds"
		d.Means = "what may be done with a descriptor is decided when it is opened, not by who uses it. Opened for reading it cannot be written, even by root (EBADF)."
		d.Try = "exec 9<file; echo 0 >&9"
		teach.Fail(t, d)
	}
	if outside := said.outside(g); len(outside) > 0 {
		d.Code = "CG-BIRTH-1"
		d.Saw = "the thread is in\n" + few(outside)
		d.Want = "every line of its /proc/thread-self/cgroup ends in " + g.path
		d.Means = "each hierarchy has its own list of members, so each needs a file. Where it is missing the process stays in its parent's group, and outside of that budget."
		d.Try = "cat /proc/self/cgroup"
		teach.Fail(t, d)
	}
	if moved := said.threadsMoved(g); len(moved) > 0 {
		d.Code = "CG-BIRTH-3"
		d.Saw = "another thread of the process is now in\n" + few(moved)
		d.Want = "only the thread that wrote has moved"
		d.Means = "cgroup.procs moves a process with all its threads, for which the kernel stops every fork and exit of the machine. The file \"tasks\" moves a single thread and needs no such thing; and the thread that calls execve is the process from then on."
		d.Try = "ls -l /sys/fs/cgroup/pids/tasks /sys/fs/cgroup/pids/cgroup.procs"
		teach.Fail(t, d)
	}
}

// newborn is what a process says of itself after it has written to the files: the lines of /proc/PID/cgroup of
// the thread that wrote, and of another.
type newborn struct {
	err           string
	thread, other []membership
}

func bear(t *testing.T, files []*os.File) newborn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "/proc/self/exe")
	c.Env = append(os.Environ(), helperVariable+"=born "+itoa(len(files)))
	c.ExtraFiles = files
	c.Stdin = strings.NewReader("go\n")
	out, err := c.Output()
	require.NoError(t, err)
	text := string(out)
	if line, ok := strings.CutPrefix(text, "error: "); ok {
		return newborn{err: strings.TrimSpace(line)}
	}
	own, others, ok := strings.Cut(strings.TrimSuffix(text, "done\n"), "--\n")
	require.True(t, ok, text)
	thread, err1 := readMemberships(strings.NewReader(own))
	other, err2 := readMemberships(strings.NewReader(others))
	require.NoError(t, errors.Join(err1, err2))
	return newborn{thread: thread, other: other}
}

func (n newborn) outside(g *Group) (lines []string) {
	for _, p := range g.places {
		for _, m := range n.thread {
			if m.in(p.tree) && m.path != g.path {
				lines = append(lines, p.tree.mount+": a group of its parent's")
			}
		}
	}
	return lines
}

func (n newborn) threadsMoved(g *Group) (lines []string) {
	for _, p := range g.places {
		for _, m := range n.other {
			if p.tree.version == 1 && m.in(p.tree) && m.path == g.path {
				lines = append(lines, fmt.Sprintf("%s: %s", p.tree.mount, m.path))
			}
		}
	}
	return lines
}

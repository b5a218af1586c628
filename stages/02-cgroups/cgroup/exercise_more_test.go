package cgroup

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
)

// TestDelegate is the test of cg.delegate. It takes whatever v2 tree there is: beside v1 hierarchies it may have
// a controller or two left.
func TestDelegate(t *testing.T) {
	g := nameGroup(t)
	top, ok := g.unified()
	if !ok || len(top.tree.controllers) == 0 {
		t.Skip("needs a cgroup v2 tree that offers a controller")
	}
	p := top.child("a").child("b")
	_, err := p.mkdirAll()
	require.NoError(t, err)
	err = p.delegate(top.tree.controllers)
	teach.Begun(t, err)
	require.NoError(t, err)
	d := teach.Diagnosis{
		Exercise: "cg.delegate", Title: "a controller arrives three levels down", Read: "docs/02-cgroups.md#delegation",
		Did: fmt.Sprintf("made %s, and called your delegate(%s) for it", p, strings.Join(top.tree.controllers, " ")),
	}
	have, err := p.read("cgroup.controllers")
	require.NoError(t, err)
	if lacks := missing(top.tree.controllers, strings.Fields(have)); len(lacks) > 0 {
		d.Code = "CG-DELEGATE-1"
		d.Saw = fmt.Sprintf("there: cgroup.controllers = %q\n%s", have, chain(p))
		d.Want = "cgroup.controllers = \"" + strings.Join(top.tree.controllers, " ") + "\""
		d.Means = "a group passes on only what it has itself: a controller comes down from the root, one cgroup.subtree_control after the other. One group above that does not name it, and nobody below can have it (ENOENT)."
		d.Try = "cat /proc/self/cgroup; grep . /sys/fs/cgroup/*/cgroup.subtree_control"
		teach.Fail(t, d)
	}
	h := start(t, "sleep")
	if err := p.join(h.Process.Pid); err != nil {
		d.Code = "CG-DELEGATE-2"
		d.Did += "; then a process wanted to join it"
		d.Saw = fmt.Sprintf("%v\n%s", err, chain(p))
		d.Want = "the process joins; the last group's own cgroup.subtree_control is empty"
		d.Means = "on v2 processes live in the leaves (\"no internal processes\"): a group that passes controllers on has no room for a process of its own (EBUSY). You passed them on in the group itself, too; they must end above it."
		d.Try = "cat " + p.String() + "/cgroup.subtree_control"
		teach.Fail(t, d)
	}
}

// chain shows what each group on the way passes on.
func chain(p place) string {
	var lines []string
	for at, ok := p, true; ok && len(lines) < 5; at, ok = at.parent() {
		on, _ := at.read("cgroup.subtree_control")
		lines = append(lines, fmt.Sprintf("%q is passed on by %s", on, at))
	}
	return strings.Join(lines, "\n")
}

// TestPidsMax is the test of cg.pids-max.
func TestPidsMax(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "pids")
	p, _ := g.at("pids")
	for _, c := range []struct {
		limit int64
		file  string
		works bool
	}{{40, "40", false}, {-1, "max", true}, {0, "0", false}} {
		d := teach.Diagnosis{
			Exercise: "cg.pids-max", Title: "a fork bomb meets its limit", Read: "docs/02-cgroups.md#pids",
			Did: fmt.Sprintf("set pids.limit = %d; a program in the group starts 60 others", c.limit),
		}
		err := g.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &c.limit}})
		teach.Begun(t, err)
		value, _ := p.read("pids.max")
		said := "(not run)"
		if err == nil {
			var h *helper
			h, said = inside(t, g, "fork 60")
			require.NoError(t, h.Process.Kill())
			killAll(t, p)
		}
		if value == c.file && (said == "done") == c.works {
			continue
		}
		d.Saw = fmt.Sprintf("error: %v\n%s/pids.max = %s\nthe program said: %s", err, p, value, said)
		d.Want = fmt.Sprintf("pids.max = %s, and the program %s", c.file, map[bool]string{true: "says done", false: "cannot start them all"}[c.works])
		d.Code, d.Means = "CG-PIDS-1", "the file counts processes and threads of the whole group, and fork fails with EAGAIN beyond it. The number goes in as it is: 0 too, which lets nobody fork."
		if c.limit < 0 {
			d.Code, d.Means = "CG-PIDS-2", "the spec writes \"no limit\" as a negative number. The kernel has a word for it, and refuses a negative number (EINVAL)."
		}
		d.Try = "limit run --pids 5 -- sh -c 'for i in 1 2 3 4 5 6; do sleep 1 & done'"
		teach.Fail(t, d)
	}
}

// killAll empties a group by simple means.
func killAll(t *testing.T, p place) {
	t.Helper()
	require.Eventually(t, func() bool {
		pids, err := p.allPids()
		require.NoError(t, err)
		for _, pid := range pids {
			if proc, err := os.FindProcess(pid); err == nil {
				proc.Kill()
			}
		}
		return len(pids) == 0
	}, 10*time.Second, 5*time.Millisecond)
}

// TestCPUMax is the test of cg.cpu-max. The plan for v2 is looked at on every machine.
func TestCPUMax(t *testing.T) {
	for _, c := range []struct {
		did          string
		quota        *int64
		period       *uint64
		nowQuota     string
		nowPeriod    uint64
		want         string
		code, reason string
	}{
		{
			"quota 20000 and period 50000, on a group without a limit", new(int64(20000)), new(uint64(50000)), "max", 100000, "20000 50000", "CG-CPU-1",
			"cpu.max is one line of two numbers: first how much CPU time (the quota), then in how much time (the period), both in microseconds.",
		},
		{
			"quota -1, on a group that had 20000 of 100000", new(int64(-1)), nil, "20000", 100000, "max 100000", "CG-CPU-1",
			"the spec's word for no limit is a negative number, v2's is max.",
		},
		{
			"quota 10000 alone, on a group that had 20000 of 50000", new(int64(10000)), nil, "20000", 50000, "10000 50000", "CG-CPU-2",
			"who changes one of the two wants to keep the other. 10000 of 100000 would be half of what was asked for.",
		},
		{
			"period 40000 alone, on a group that had 20000 of 50000", nil, new(uint64(40000)), "20000", 50000, "20000 40000", "CG-CPU-2",
			"who changes one of the two wants to keep the other: the quota of now is in the facts.",
		},
	} {
		now := facts{version: func(string) int { return 2 }, quota: c.nowQuota, period: c.nowPeriod}
		writes, err := planCPU(now, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: c.quota, Period: c.period}})
		teach.Begun(t, err)
		require.NoError(t, err)
		saw := ""
		for _, w := range writes {
			saw += w.String() + "\n"
		}
		if want := fmt.Sprintf("cpu: cpu.max <- %q\n", c.want); saw != want {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "cg.cpu-max", Code: c.code, Title: "a group gets part of a CPU", Did: "asked for your plan on v2: " + c.did,
				Saw: saw, Want: want, Means: c.reason, Try: "limit run --cpus 0.2 -- sh -c 'cat /proc/self/cgroup; while :; do :; done' & limit top --watch 1s /slipway-limit",
				Read: "docs/02-cgroups.md#cpu",
			})
		}
	}
}

// TestEvents is the test of cg.events.
func TestEvents(t *testing.T) {
	g := newGroup(t)
	d := teach.Diagnosis{Exercise: "cg.events", Title: "a group tells when its last process has left", Read: "docs/02-cgroups.md#events"}
	below, err := g.layout.Group(g.path + "/below")
	require.NoError(t, err)
	require.NoError(t, below.Create())
	before, err := g.isPopulated()
	teach.Begun(t, err)
	require.NoError(t, err)
	h, _ := inside(t, below, "sleep")
	during, err := g.isPopulated()
	require.NoError(t, err)
	own, err := g.Pids()
	require.NoError(t, err)
	if before || !during {
		d.Code, d.Did = "CG-EVENTS-1", fmt.Sprintf("asked your isPopulated() of %s, put process %d into %s, asked again", g.path, h.Process.Pid, below.path)
		d.Saw = fmt.Sprintf("before: %v  with the process: %v\ncgroup.procs of the upper group: %v", before, during, own)
		d.Want = "before: false  with the process: true"
		d.Means = "cgroup.procs lists the group's own processes, not those further down. v2 counts the whole subtree in cgroup.events (populated); on v1 the lists of the subtree have to be read."
		d.Try = "cat /proc/" + itoa(h.Process.Pid) + "/cgroup"
		teach.Fail(t, d)
	}
	sweep(t, g.layout)
	after, err := g.isPopulated()
	if err == nil {
		d.Code, d.Did = "CG-EVENTS-2", fmt.Sprintf("removed %s, and asked your isPopulated() of it", g.path)
		d.Saw = fmt.Sprintf("populated: %v, error: %v", after, err)
		d.Want = "an error: no such file or directory"
		d.Means = "no process and no group are two answers. Who waits for the end of a group would wait for ever if a group that is gone looked like one that is empty: pass the error on."
		d.Try = "cat /sys/fs/cgroup/no-such-group/cgroup.procs"
		teach.Fail(t, d)
	}
}

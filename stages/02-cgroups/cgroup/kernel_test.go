package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The kernel tests make groups of their own below /slipway-cgroup-test-PID, and put this very program into them: it
// executes itself as a helper that eats, spins, forks or sleeps.

const helperVariable = "CGROUP_TEST_HELPER"

func TestMain(m *testing.M) {
	if job := os.Getenv(helperVariable); job != "" {
		os.Exit(help(strings.Fields(job)))
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "these tests left cgroups behind: %v\n", left)
		code = max(code, 1)
	}
	os.Exit(code)
}

// leftovers lists groups of this run that are still there.
func leftovers() (left []string) {
	l, err := Detect()
	if err != nil {
		return nil
	}
	g, err := l.Group(testRoot())
	if err != nil {
		return nil
	}
	for _, p := range g.places {
		if p.exists() {
			left = append(left, p.String())
		}
	}
	return left
}

func testRoot() string { return fmt.Sprintf("/slipway-cgroup-test-%d", os.Getpid()) }

// help is a helper's life: it waits for a line (so that it can be moved into its group first), works, says
// "done", and stays until its stdin ends.
func help(job []string) int {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return 0 // the test is over
	}
	n := 0
	if len(job) > 1 {
		n, _ = strconv.Atoi(job[1])
	}
	err := work(job[0], n)
	if err != nil {
		fmt.Println("error:", err)
	} else {
		fmt.Println("done")
	}
	io.Copy(io.Discard, in)
	return 0
}

func work(job string, n int) error {
	switch job {
	case "eat": // n MiB, really touched
		for range n {
			b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
			if err != nil {
				return err
			}
			b[0] = 1
		}
	case "spin": // for n milliseconds
		for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
		}
	case "fork": // n children that sleep
		for i := range n {
			c := exec.Command("/bin/sleep", "60")
			if err := c.Start(); err != nil {
				return fmt.Errorf("child %d: %w", i+1, errors.Unwrap(err))
			}
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "delegated":
		return beDelegated()
	case "born":
		return beBorn(n)
	case "null", "zero":
		f, err := os.OpenFile("/dev/"+job, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		f.Close()
	case "bomb": // forks while it is being killed, each child once more
		c := exec.Command("/bin/sh", "-c", `i=0; while [ $i -lt 400 ]; do i=$((i+1)); (sleep 0.01; sleep 60) & done; wait`)
		if err := c.Start(); err != nil {
			return err
		}
		go c.Wait()
	}
	return nil
}

// beBorn joins by n files with one thread, and prints where it is and where another thread is.
func beBorn(n int) error {
	runtime.LockOSThread()
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), fmt.Sprintf("file %d of %d", fd-2, n))
		if _, err := f.WriteString("0"); err != nil {
			return err
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	other := ""
	for _, e := range threads {
		if e.Name() != strconv.Itoa(unix.Gettid()) {
			other = e.Name()
		}
	}
	for i, file := range []string{"/proc/thread-self/cgroup", "/proc/self/task/" + other + "/cgroup"} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Print(strings.Repeat("--\n", i), string(data))
	}
	return nil
}

// helper is a running copy of this program.
type helper struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	end chan error // Wait's result
}

// start runs a helper, not yet in any group and not yet working.
func start(t *testing.T, job string) *helper {
	t.Helper()
	return startWith(t, job, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
}

func startWith(t *testing.T, job string, attr *syscall.SysProcAttr) *helper {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), helperVariable+"="+job, "GOMAXPROCS=2")
	c.SysProcAttr = attr
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	h := &helper{Cmd: c, in: in, out: bufio.NewReader(out), end: make(chan error, 1)}
	t.Cleanup(func() {
		c.Process.Kill()
		go c.Wait() // not here: it may be frozen until the group is swept
	})
	return h
}

// begin lets the helper work, and returns what it says.
func (h *helper) begin(t *testing.T) string {
	t.Helper()
	_, err := io.WriteString(h.in, "go\n")
	require.NoError(t, err)
	line, err := h.out.ReadString('\n')
	if err == io.EOF {
		return "died"
	}
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// inside starts a helper in g and lets it work.
func inside(t *testing.T, g *Group, job string) (*helper, string) {
	t.Helper()
	h := start(t, job)
	require.NoError(t, g.Join(h.Process.Pid))
	return h, h.begin(t)
}

// newGroup makes a group of this test's own, and takes it away with all that is in it.
func newGroup(t *testing.T) *Group {
	t.Helper()
	g := nameGroup(t)
	err := g.Create()
	teach.Begun(t, err) // for a learner who has not yet written it
	require.NoError(t, err)
	return g
}

// nameGroup does not make the group, but takes it away if the test did. It does so by simple means of its
// own: what is tested must not clean up after itself.
func nameGroup(t *testing.T) *Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: control groups")
	}
	l, err := Detect()
	require.NoError(t, err)
	g, err := l.Group(testRoot() + "/" + strings.ReplaceAll(t.Name(), "/", "-"))
	require.NoError(t, err)
	t.Cleanup(func() { sweep(t, l) })
	return g
}

func sweep(t *testing.T, l *Layout) {
	t.Helper()
	g, err := l.Group(testRoot())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, p := range g.places {
		for p.exists() {
			pids, err := p.allPids()
			require.NoError(t, ignoreGone(err))
			for _, pid := range pids {
				unix.Kill(pid, unix.SIGKILL)
			}
			for _, frozen := range g.places { // whichever tree it is that freezes
				thaw(frozen)
			}
			if err := p.rmTree(); err == nil || !errors.Is(err, unix.EBUSY) {
				require.NoError(t, err)
				continue
			}
			select {
			case <-ctx.Done():
				t.Fatalf("cannot remove %s: processes %v", p, pids)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

// thaw undoes whatever froze a group or one below it.
func thaw(p place) {
	for file, value := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
		if p.has(file) {
			p.write(file, value) // best effort: rmdir tells
		}
	}
	below, _ := p.children()
	for _, c := range below {
		thaw(c)
	}
}

// needs skips where the machine lacks a controller.
func needs(t *testing.T, l *Layout, controllers ...string) {
	t.Helper()
	for _, c := range controllers {
		if !l.Has(c) {
			t.Skipf("needs the cgroup controller %s (this machine: %s, %v)", c, l.Mode(), l.Controllers())
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func memoryLimit(bytes int64) *specs.LinuxResources {
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &bytes}}
}

func TestOutOfMemory(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory")
	require.NoError(t, g.Set(memoryLimit(32<<20)))
	events, err := g.OOM(t.Context())
	require.NoError(t, err)
	other, said := inside(t, g, "sleep")
	require.Equal(t, "done", said)
	_ = other
	_, said = inside(t, g, "eat 64")
	require.Equal(t, "died", said)
	select {
	case _, open := <-events:
		require.True(t, open, "the channel says that the group is gone")
	case <-time.After(5 * time.Second):
		t.Fatal("no OOM event")
	}
	kills, err := g.OOMKills()
	require.NoError(t, err)
	require.GreaterOrEqual(t, kills, uint64(1))
	stats, err := g.Stats()
	require.NoError(t, err)
	require.Equal(t, kills, stats.Memory.OOMKills)
	require.Equal(t, uint64(32<<20), stats.Memory.Limit)
	require.NotZero(t, stats.Memory.Failures)
}

// TestOOMEnds: the channel closes when the group goes, and when the context ends.
func TestOOMEnds(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory")
	ctx, cancel := context.WithCancel(t.Context())
	byContext, err := g.OOM(ctx)
	require.NoError(t, err)
	byRemoval, err := g.OOM(t.Context())
	require.NoError(t, err)
	cancel()
	closes(t, byContext)
	require.NoError(t, g.Remove(within(t, 5*time.Second)))
	closes(t, byRemoval)
	_, err = g.OOM(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func closes(t *testing.T, events <-chan struct{}) {
	t.Helper()
	select {
	case _, open := <-events:
		require.False(t, open, "an event where the end was due")
	case <-time.After(5 * time.Second):
		t.Fatal("the channel stays open")
	}
}

// TestMemoryBothWays moves limits up and down as a running container's are: the kernel refuses a wrong order.
func TestMemoryBothWays(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory")
	if p, _ := g.at("memory"); !p.has("memory.memsw.limit_in_bytes") && !p.has("memory.swap.max") {
		t.Skip("needs swap accounting")
	}
	for _, mib := range []int64{64, 256, 32, -1, 64, 128} {
		limit, swap := mib<<20, mib<<21
		if mib < 0 {
			limit, swap = -1, -1
		}
		r := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}}
		require.NoError(t, g.Set(r), "%d MiB", mib)
		s, err := g.Stats()
		require.NoError(t, err)
		want := [2]uint64{uint64(limit), uint64(swap - limit)}
		if mib < 0 {
			want = [2]uint64{Unlimited, Unlimited}
		}
		require.Equal(t, want, [2]uint64{s.Memory.Limit, s.Memory.SwapLimit}, "%d MiB", mib)
	}
}

func TestPidsLimit(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "pids")
	require.NoError(t, g.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(20))}}))
	_, said := inside(t, g, "fork 40")
	require.Regexp(t, `^error: child \d+: resource temporarily unavailable$`, said)
	s, err := g.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(20), s.Pids.Limit)
	require.LessOrEqual(t, s.Pids.Current, uint64(20))
	require.Greater(t, s.Pids.Current, uint64(10))
}

func TestBandwidth(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "cpu")
	parent := &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(50000)), Period: new(uint64(100000))}}
	require.NoError(t, g.Set(parent))
	child, err := g.layout.Group(g.path + "/child")
	require.NoError(t, err)
	require.NoError(t, child.Create())
	for _, ratio := range [][2]int64{{50000, 100000}, {20000, 40000}, {100000, 200000}, {5000, 100000}, {10000, 20000}, {-1, 100000}} {
		require.NoError(t, child.Set(&specs.LinuxResources{
			CPU: &specs.LinuxCPU{Quota: &ratio[0], Period: new(uint64(ratio[1]))},
		}), "%v", ratio)
	}
	require.NoError(t, child.Set(&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(5000)), Shares: new(uint64(512))}}))
	_, said := inside(t, child, "spin 400")
	require.Equal(t, "done", said)
	s, err := child.Stats()
	require.NoError(t, err)
	require.NotZero(t, s.CPU.Usage)
	require.NotZero(t, s.CPU.ThrottledPeriods)
	require.NotZero(t, s.CPU.Throttled)
	require.GreaterOrEqual(t, s.CPU.Periods, s.CPU.ThrottledPeriods)
}

func TestCpuset(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "cpuset")
	require.NoError(t, g.Set(&specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}}))
	h, _ := inside(t, g, "sleep")
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(h.Process.Pid, &set))
	require.Equal(t, 1, set.Count())
	err := g.Set(&specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "4000"}})
	require.ErrorContains(t, err, `write "4000": write `)
	require.ErrorContains(t, err, "cpuset.cpus")
}

func TestDeviceList(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "devices")
	node := func(minor int64) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Minor: &minor, Access: "rwm"}
	}
	null, zero := node(3), node(5)
	deny := specs.LinuxDeviceCgroup{Access: "rwm"}
	const refused = "error: open /dev/%s: operation not permitted"
	for _, row := range []struct {
		rules                []specs.LinuxDeviceCgroup
		sayOfNull, sayOfZero string
	}{
		{[]specs.LinuxDeviceCgroup{deny, null}, "done", fmt.Sprintf(refused, "zero")},
		{[]specs.LinuxDeviceCgroup{deny, zero}, fmt.Sprintf(refused, "null"), "done"},
		{[]specs.LinuxDeviceCgroup{deny, zero, null}, "done", "done"},
	} {
		require.NoError(t, g.Set(&specs.LinuxResources{Devices: row.rules}))
		_, said := inside(t, g, "null")
		require.Equal(t, row.sayOfNull, said)
		_, said = inside(t, g, "zero")
		require.Equal(t, row.sayOfZero, said)
	}
}

func TestFreeze(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "freezer")
	ctx := within(t, 10*time.Second)
	require.NoError(t, g.Freeze(ctx), "an empty group")
	require.NoError(t, g.Thaw(ctx))
	h := start(t, "spin 200")
	require.NoError(t, g.Join(h.Process.Pid))
	require.NoError(t, g.Freeze(ctx))
	frozen, err := g.Frozen()
	require.NoError(t, err)
	require.True(t, frozen)
	_, err = io.WriteString(h.in, "go\n")
	require.NoError(t, err)
	answer := make(chan string, 1)
	go func() { line, _ := h.out.ReadString('\n'); answer <- line }()
	select {
	case line := <-answer:
		t.Fatalf("a frozen process said %q", line)
	case <-time.After(400 * time.Millisecond):
	}
	require.NoError(t, g.Thaw(ctx))
	require.Equal(t, "done\n", <-answer)
	frozen, err = g.Frozen()
	require.NoError(t, err)
	require.False(t, frozen)
}

// TestThawBelowFrozen: the group above wins, and the error says so.
func TestThawBelowFrozen(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "freezer")
	child, err := g.layout.Group(g.path + "/child")
	require.NoError(t, err)
	require.NoError(t, child.Create())
	inside(t, child, "sleep")
	require.NoError(t, g.Freeze(within(t, 5*time.Second)))
	err = child.Thaw(within(t, 100*time.Millisecond))
	require.ErrorContains(t, err, "a group above it is frozen")
	require.NoError(t, g.Thaw(within(t, 5*time.Second)))
}

func TestKillTree(t *testing.T) {
	g := newGroup(t)
	for name, job := range map[string]string{"/bomb": "bomb", "/a/b": "fork 5"} { // in leaves: v2 wants it so
		child, err := g.layout.Group(g.path + name)
		require.NoError(t, err)
		require.NoError(t, child.Create())
		_, said := inside(t, child, job)
		require.Equal(t, "done", said)
	}
	pids, err := g.AllPids()
	require.NoError(t, err)
	require.Greater(t, len(pids), 6)
	require.NoError(t, g.Kill(within(t, 20*time.Second)))
	pids, err = g.AllPids()
	require.NoError(t, err)
	require.Empty(t, pids)
	require.NoError(t, g.Remove(within(t, 10*time.Second)))
	require.False(t, g.Exists())
	require.NoError(t, g.Kill(t.Context()), "what is not there is dead")
	require.NoError(t, g.Remove(t.Context()), "what is not there is removed")
}

// TestKillMany: more processes than there are descriptors for.
func TestKillMany(t *testing.T) {
	g := newGroup(t)
	_, said := inside(t, g, "fork 60")
	require.Equal(t, "done", said)
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	few := unix.Rlimit{Cur: uint64(len(open) + 20), Max: old.Max}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	err = g.Kill(within(t, 10*time.Second))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	teach.Begun(t, err)
	require.NoError(t, err)
	left, err := g.AllPids()
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestKillFrozen: a paused container can be killed.
func TestKillFrozen(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "freezer")
	inside(t, g, "fork 2")
	require.NoError(t, g.Freeze(within(t, 5*time.Second)))
	require.NoError(t, g.Kill(within(t, 5*time.Second)))
	require.NoError(t, g.Remove(within(t, 5*time.Second)))
}

func TestKillRefusesOneself(t *testing.T) {
	g := newGroup(t)
	h := start(t, "sleep")
	require.NoError(t, g.Join(h.Process.Pid))
	own, err := g.layout.Of(os.Getpid())
	require.NoError(t, err)
	require.Error(t, own.Kill(t.Context())) // the root's refusal, or that the caller is inside
	require.Error(t, own.Freeze(t.Context()))
}

// TestRemoveBusy: a group with a process stays, and the error tells who is in it.
func TestRemoveBusy(t *testing.T) {
	g := newGroup(t)
	h, _ := inside(t, g, "sleep")
	err := g.Remove(within(t, 50*time.Millisecond))
	require.ErrorIs(t, err, unix.EBUSY)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, fmt.Sprintf("processes inside: [%d]", h.Process.Pid))
	time.AfterFunc(50*time.Millisecond, func() { h.Process.Kill() })
	require.NoError(t, g.Remove(within(t, 10*time.Second)))
}

func TestOf(t *testing.T) {
	g := newGroup(t)
	h, _ := inside(t, g, "sleep")
	of, err := g.layout.Of(h.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, g.Path(), of.Path())
	require.Equal(t, g.places, of.places)
	_, err = g.layout.Of(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestBornInside: File is for v2 alone, Birth for every machine.
func TestBornInside(t *testing.T) {
	g := newGroup(t)
	file, err := g.File()
	require.NoError(t, err)
	require.Equal(t, g.layout.Mode() == V2, file != nil)
	closeAll([]*os.File{file})
	dir, files, err := g.Birth()
	teach.Begun(t, err)
	require.NoError(t, err)
	defer closeAll(append(files, dir))
	require.Equal(t, g.layout.Mode() != V1, dir != nil)
	dirs := g.Dirs()
	require.Len(t, dirs, len(files)+map[bool]int{true: 1}[dir != nil])
	for i, f := range files {
		require.Equal(t, dirs[i].Path+"/tasks", f.Name())
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), helperVariable+"=born "+itoa(len(files)))
	c.Stdin, c.ExtraFiles = strings.NewReader("go\n"), files
	if dir != nil {
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	out, err := c.Output()
	require.NoError(t, err)
	own, _, _ := strings.Cut(string(out), "--\n")
	for line := range strings.Lines(own) {
		require.Equal(t, g.Path(), strings.SplitN(strings.TrimSpace(line), ":", 3)[2], line)
	}
}

func TestStats(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory", "pids", "cpuacct")
	_, said := inside(t, g, "eat 20")
	require.Equal(t, "done", said)
	s, err := g.Stats()
	require.NoError(t, err)
	require.Greater(t, s.Memory.Anon, uint64(20<<20))
	require.Less(t, s.Memory.Anon, uint64(40<<20))
	require.GreaterOrEqual(t, s.Memory.Usage, s.Memory.Anon)
	require.Equal(t, uint64(Unlimited), s.Memory.Limit)
	require.NotEmpty(t, s.Memory.Raw)
	require.NotZero(t, s.CPU.Usage)
	require.NotZero(t, s.Pids.Current)
	require.Equal(t, uint64(Unlimited), s.Pids.Limit)
	gone, err := g.layout.Group("/no/such/group")
	require.NoError(t, err)
	_, err = gone.Stats()
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestUnified writes v2 files by name, or says what is missing.
func TestUnified(t *testing.T) {
	g := newGroup(t)
	r := &specs.LinuxResources{Unified: map[string]string{"memory.high": "33554432"}}
	err := g.Set(r)
	if g.layout.Mode() != V2 {
		missing, ok := errors.AsType[*NoControllerError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "memory", missing.Controller)
		return
	}
	require.NoError(t, err)
	p, _ := g.at("memory")
	high, err := p.read("memory.high")
	require.NoError(t, err)
	require.Equal(t, "33554432", high)
	err = g.Set(&specs.LinuxResources{Unified: map[string]string{"memory.hihg": "1"}})
	require.ErrorContains(t, err, "this kernel has no such file")
}

// TestInternalProcesses (v2): an ancestor that holds a process cannot pass memory on; the limit says so.
func TestInternalProcesses(t *testing.T) {
	parent := nameGroup(t)
	if parent.layout.Mode() != V2 {
		t.Skip("needs cgroup v2: no internal processes")
	}
	_, err := parent.places[0].mkdirAll()
	require.NoError(t, err)
	inside(t, parent, "sleep")
	g, err := parent.layout.Group(parent.path + "/below")
	require.NoError(t, err)
	require.NoError(t, g.Create())
	err = g.Set(memoryLimit(32 << 20))
	require.ErrorContains(t, err, `memory.max needs the cgroup controller memory: "memory" is not in `+
		parent.places[0].String()+"/cgroup.subtree_control, which holds processes itself and so may not pass it on")
}

// TestHugetlb: on this repository's hybrid machines it is the one controller that only the v2 tree has.
func TestHugetlb(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "hugetlb")
	if g.layout.Mode() == Hybrid {
		t.Skip("needs cgroup v1 or v2 alone: setting it here would switch hugetlb on in the machine's own v2 root")
	}
	r := &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}}
	require.NoError(t, g.Set(r))
	s, err := g.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(4<<20), s.Hugetlb["2MB"].Limit)
}

// TestCreateTogether: many make groups below a parent that none of them has yet.
func TestCreateTogether(t *testing.T) {
	g := nameGroup(t)
	const n = 12
	errs := make(chan error, n)
	for i := range n {
		child, err := g.layout.Group(fmt.Sprintf("%s/new/%d", g.path, i))
		require.NoError(t, err)
		go func() { errs <- child.Create() }()
	}
	for range n {
		err := <-errs
		teach.Begun(t, err)
		require.NoError(t, err)
	}
	parent, err := g.layout.Group(g.path + "/new")
	require.NoError(t, err)
	children, err := parent.Children()
	require.NoError(t, err)
	require.Len(t, children, n)
	for _, c := range children {
		require.Empty(t, absent(c))
		h := start(t, "sleep")
		require.NoError(t, c.Join(h.Process.Pid))
	}
}

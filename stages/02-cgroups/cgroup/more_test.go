package cgroup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
)

func TestParseStalls(t *testing.T) {
	got := parseStalls("some avg10=0.12 avg60=0.05 avg300=1.00 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7 new=1\nmost avg10=9\n\n")
	require.Equal(t, &Stalls{
		Some: Stall{Avg10: 0.12, Avg60: 0.05, Avg300: 1, Total: 12345 * time.Microsecond},
		Full: Stall{Total: 7 * time.Microsecond},
	}, got)
}

func FuzzPressureAndNested(f *testing.F) {
	f.Add("some avg10=0.12 avg60=0.05 avg300=1.00 total=12345\nfull total=1")
	f.Add("mlx4_0 hca_handle=2 hca_object=max")
	f.Fuzz(func(t *testing.T, data string) {
		if s := parseStalls(data); s.Some.Total < 0 || s.Full.Total < 0 {
			t.Errorf("%q stalls for %v", data, s)
		}
		nestedKeyed(data)
	})
}

// plainGroup is a v2 group "g" of plain files.
func plainGroup(t *testing.T, files map[string]string) *Group {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	parsed, err := Parse(strings.NewReader("1 0 0:1 / / rw - cgroup2 c rw"), strings.NewReader("0::/"))
	require.NoError(t, err)
	l, err := parsed.Open(dir)
	require.NoError(t, err)
	g, err := l.Group("/g")
	require.NoError(t, err)
	return g
}

func TestPressureRdmaMisc(t *testing.T) {
	g := plainGroup(t, map[string]string{
		"cgroup.controllers": "rdma misc\n",
		"g/cpu.pressure":     "some avg10=1.50 avg60=0.00 avg300=0.00 total=10\n",
		"g/rdma.current":     "mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=max\n",
		"g/rdma.max":         "mlx4_0 hca_handle=2 hca_object=max\n",
		"g/misc.current":     "sev 3\nsev_es 0\n",
		"g/misc.max":         "sev max\nsev_es 10\n",
	})
	s, err := g.Stats()
	require.NoError(t, err)
	require.Equal(t, Pressure{CPU: &Stalls{Some: Stall{Avg10: 1.5, Total: 10 * time.Microsecond}}}, s.Pressure)
	require.Equal(t, map[string]RdmaStats{
		"mlx4_0":  {Handles: 2, HandlesLimit: 2, Objects: 2000, ObjectsLimit: Unlimited},
		"ocrdma1": {Handles: 3, HandlesLimit: Unlimited, Objects: Unlimited, ObjectsLimit: Unlimited},
	}, s.Rdma)
	require.Equal(t, map[string]MiscStats{"sev": {3, Unlimited}, "sev_es": {0, 10}}, s.Misc)
}

// TestPressureIsThere asks the kernel.
func TestPressureIsThere(t *testing.T) {
	g := newGroup(t)
	p, ok := g.unified()
	if !ok || !p.has("cpu.pressure") {
		t.Skip("needs a cgroup v2 tree with pressure (CONFIG_PSI)")
	}
	if _, err := p.read("cpu.pressure"); err != nil {
		t.Skipf("needs pressure switched on (psi=1): %v", err)
	}
	s, err := g.Stats()
	require.NoError(t, err)
	require.NotNil(t, s.Pressure.CPU)
	require.NotNil(t, s.Pressure.IO)
}

func TestPopulated(t *testing.T) {
	g := newGroup(t)
	below, err := g.layout.Group(g.path + "/below")
	require.NoError(t, err)
	require.NoError(t, below.Create())
	changes, err := g.Populated(t.Context())
	teach.Begun(t, err)
	require.NoError(t, err)
	require.False(t, next(t, changes), "how it is")
	h, said := inside(t, below, "sleep")
	require.Equal(t, "done", said)
	require.True(t, next(t, changes), "a process came, one group further down")
	require.NoError(t, h.Process.Kill())
	go h.Wait()
	require.False(t, next(t, changes), "it left")
	require.NoError(t, g.Remove(within(t, 5*time.Second)))
	select {
	case _, open := <-changes:
		require.False(t, open)
	case <-time.After(5 * time.Second):
		t.Fatal("the group is gone and the channel open")
	}
	_, err = g.Populated(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func next(t *testing.T, changes <-chan bool) bool {
	t.Helper()
	select {
	case now, open := <-changes:
		require.True(t, open)
		return now
	case <-time.After(5 * time.Second):
		t.Fatal("no event")
		return false
	}
}

func TestPopulatedEnds(t *testing.T) {
	g := newGroup(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := g.Populated(ctx)
	teach.Begun(t, err)
	require.NoError(t, err)
	next(t, changes)
	cancel()
	select {
	case _, open := <-changes:
		require.False(t, open)
	case <-time.After(5 * time.Second):
		t.Fatal("the context has ended and the channel is open")
	}
}

// TestDelegated: an ordinary user to whom a subtree was given works below it.
func TestDelegated(t *testing.T) {
	g := newGroup(t)
	if g.layout.mode != V2 {
		t.Skip("needs cgroup v2: on v1 nothing is given to ordinary users")
	}
	root, err := g.layout.Delegated()
	require.NoError(t, err)
	require.Equal(t, "/", root.Path(), "root has it all")
	const user = 4711
	for _, file := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		require.NoError(t, os.Chown(filepath.Join(g.places[0].String(), file), user, user))
	}
	h := startAs(t, "delegated", user)
	require.NoError(t, g.Join(h.Process.Pid))
	require.Equal(t, "found "+g.Path(), h.begin(t))
	line, err := h.out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "done\n", line)
	child, err := g.layout.Group(g.path + "/job")
	require.NoError(t, err)
	s, err := child.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(9), s.Pids.Limit)
	pids, err := g.Pids()
	require.NoError(t, err)
	require.Empty(t, pids, "they have made room")
}

// startAs is start as another user.
func startAs(t *testing.T, job string, user uint32) *helper {
	t.Helper()
	return startWith(t, job, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: user, Gid: user}})
}

// beDelegated is what the user does.
func beDelegated() error {
	l, err := Detect()
	if err != nil {
		return err
	}
	own, err := l.Delegated()
	if err != nil {
		return err
	}
	fmt.Println("found", own.Path())
	if err := own.Vacate("init"); err != nil {
		return err
	}
	job, err := l.Group(own.Path() + "/job")
	if err != nil {
		return err
	}
	if err := job.Create(); err != nil {
		return err
	}
	if err := job.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(9))}}); err != nil {
		return err
	}
	return job.Join(os.Getpid())
}

// TestNothingDelegated: without a gift the refusal says so.
func TestNothingDelegated(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: control groups")
	}
	h := startAs(t, "delegated", 4711)
	require.Regexp(t, `^error: no part of the cgroup tree \(.*\) is given to user 4711: permission denied$`, h.begin(t))
}

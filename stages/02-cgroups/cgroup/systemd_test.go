package cgroup

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
	"github.com/stretchr/testify/require"
)

func TestUnits(t *testing.T) {
	for text, want := range map[string]string{
		"system.slice:docker:abc":  "docker-abc.scope /system.slice/docker-abc.scope",
		":docker:abc":              "docker-abc.scope /system.slice/docker-abc.scope",
		"a-b-c.slice:cri:x.y":      "cri-x.y.scope /a.slice/a-b.slice/a-b-c.slice/cri-x.y.scope",
		"-.slice::x":               "x.scope /x.scope",
		"::pods.slice":             "pods.slice /pods.slice",
		"pods.slice::pods-a.slice": "pods-a.slice /pods.slice/pods-a.slice",
	} {
		u, err := parseUnit(text, true)
		require.NoError(t, err, text)
		path, err := u.path()
		require.NoError(t, err, text)
		require.Equal(t, want, u.name+" "+path)
	}
	for text, want := range map[string]string{
		"a:b":             `cgroup "a:b": systemd's form is SLICE:PREFIX:NAME`,
		"a.slice:b:":      `cgroup "a.slice:b:": systemd's form is SLICE:PREFIX:NAME`,
		"a:b:c":           `cgroup "a:b:c": "a" is no slice`,
		"a--b.slice:c:d":  `cgroup "a--b.slice:c:d": "a--b.slice" is no slice: an empty part between dashes`,
		"../a.slice:c:d":  `cgroup "../a.slice:c:d": "../a.slice" is no slice`,
		"a.slice:c:../..": `cgroup "a.slice:c:../..": "c-../...scope" is no name of a unit (systemd.unit(5))`,
	} {
		_, err := parseUnit(text, true)
		require.EqualError(t, err, want)
	}
}

func FuzzParseUnit(f *testing.F) {
	f.Add("system.slice:docker:abc")
	f.Add("a-b.slice::c.slice")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUnit(text, true)
		if err != nil {
			return
		}
		path, err := u.path()
		if err == nil && (!strings.HasPrefix(path, "/") || strings.Contains(path, "..") && strings.Contains(path, "/../")) {
			t.Errorf("%q leads to %q", text, path)
		}
	})
}

func TestDrivers(t *testing.T) {
	for _, d := range []Driver{Cgroupfs, Systemd} {
		got, err := ParseDriver(d.String())
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	_, err := ParseDriver("x")
	require.EqualError(t, err, `cgroup driver "x": want cgroupfs or systemd`)
	l := &Layout{mode: V2, trees: []*tree{{version: 2, mount: "/sys/fs/cgroup"}}}
	require.Equal(t, Systemd, l.Use(Systemd).Driver())
	require.Equal(t, Cgroupfs, l.Driver(), "the first Layout stays as it was")
}

// TestProperties: one budget in systemd's words, on v1 and on v2.
func TestProperties(t *testing.T) {
	r := &specs.LinuxResources{
		CPU:     &specs.LinuxCPU{Shares: new(uint64(1024)), Quota: new(int64(50000)), Period: new(uint64(200000)), Cpus: "0-2,9"},
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(96 << 20)), Reservation: new(int64(32 << 20))},
		Pids:    &specs.LinuxPids{Limit: new(int64(-1))},
		BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(500))},
		Unified: map[string]string{"memory.high": "max", "io.max": "8:0 rbps=1"},
		Devices: []specs.LinuxDeviceCgroup{
			{Access: "rwm"},
			{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3)), Access: "rw"},
			{Allow: true, Type: "b", Access: "m"},
			{Allow: true, Type: "c", Major: new(int64(136)), Access: "rwm"},
		},
	}
	for version, want := range map[int]dbus.Properties{
		1: {
			{Name: "CPUShares", Value: uint64(1024)},
			{Name: "CPUQuotaPeriodUSec", Value: uint64(200000)},
			{Name: "CPUQuotaPerSecUSec", Value: uint64(250000)},
			{Name: "MemoryLimit", Value: uint64(64 << 20)},
			{Name: "TasksMax", Value: uint64(Unlimited)},
			{Name: "BlockIOWeight", Value: uint64(500)},
			{Name: "DevicePolicy", Value: "strict"},
			{Name: "DeviceAllow", Value: dbus.Pairs{{"/dev/char/1:3", "rw"}, {"block-*", "m"}, {"char-136", "rwm"}}},
			{Name: "MemoryHigh", Value: uint64(Unlimited)},
		},
		2: {
			{Name: "CPUWeight", Value: uint64(100)},
			{Name: "CPUQuotaPeriodUSec", Value: uint64(200000)},
			{Name: "CPUQuotaPerSecUSec", Value: uint64(250000)},
			{Name: "AllowedCPUs", Value: []byte{7, 2}},
			{Name: "MemoryMax", Value: uint64(64 << 20)},
			{Name: "MemoryLow", Value: uint64(32 << 20)},
			{Name: "MemorySwapMax", Value: uint64(32 << 20)},
			{Name: "TasksMax", Value: uint64(Unlimited)},
			{Name: "IOWeight", Value: ioWeight(500)},
			{Name: "MemoryHigh", Value: uint64(Unlimited)},
		},
	} {
		now := facts{version: func(string) int { return version }, period: 100000, quota: "max"}
		got, err := properties(now, r)
		require.NoError(t, err)
		require.Equal(t, want, got, "cgroup v%d", version)
	}
	for _, list := range []string{"", "a", "3-1", "0-99999"} {
		_, err := listToMask(list)
		require.Error(t, err, list)
	}
}

func TestSystemdAddresses(t *testing.T) {
	env := map[string]string{"XDG_RUNTIME_DIR": "/run/user/7"}
	get := func(k string) string { return env[k] }
	require.Equal(t, "unix:path=/run/dbus/system_bus_socket;peer:path=/run/systemd/private", systemdAddresses(0, get))
	require.Equal(t, "unix:path=/run/user/7/bus;peer:path=/run/user/7/systemd/private", systemdAddresses(7, get))
}

func systemdLayout(t *testing.T) *Layout {
	t.Helper()
	if comm, _ := os.ReadFile("/proc/1/comm"); os.Geteuid() != 0 || strings.TrimSpace(string(comm)) != "systemd" {
		t.Skip("needs systemd as process 1")
	}
	l, err := Detect()
	require.NoError(t, err)
	return l.Use(Systemd)
}

// show asks systemd itself, by another program.
func show(t *testing.T, unit, property string) string {
	t.Helper()
	out, err := exec.Command("systemctl", "show", "--value", "-p", property, unit).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func TestSystemdScope(t *testing.T) {
	l := systemdLayout(t)
	g, err := l.Group("slipway-test.slice:run:one")
	require.NoError(t, err)
	require.Equal(t, "/slipway.slice/slipway-test.slice/run-one.scope", g.Path())
	t.Cleanup(func() {
		exec.Command("systemctl", "stop", "run-one.scope", "slipway-test.slice", "slipway.slice").Run()
	})
	for range 2 { // the name is free again afterwards
		require.NoError(t, g.Create())
		require.NoError(t, g.Create(), "what exists already is left alone")
		require.True(t, g.Exists())
		require.NoError(t, g.Set(&specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: new(int64(50))},
		}))
		h, said := inside(t, g, "eat 1")
		require.Equal(t, "done", said)
		pids, err := g.Pids()
		require.NoError(t, err)
		require.Equal(t, []int{h.Process.Pid}, pids, "who kept the scope open has left")
		require.Equal(t, "active", show(t, "run-one.scope", "ActiveState"))
		require.Equal(t, "yes", show(t, "run-one.scope", "Delegate"))
		require.Equal(t, "50", show(t, "run-one.scope", "TasksMax"))
		if l.Mode() == V2 {
			require.Equal(t, "67108864", show(t, "run-one.scope", "MemoryMax"))
		}
		require.NoError(t, exec.Command("systemctl", "daemon-reload").Run())
		s, err := g.Stats()
		require.NoError(t, err)
		require.Equal(t, uint64(64<<20), s.Memory.Limit, "systemd has not reset it")
		require.Equal(t, uint64(50), s.Pids.Limit)
		require.NoError(t, g.Kill(within(t, 5*time.Second)))
		go h.Wait()
		require.NoError(t, g.Remove(within(t, 5*time.Second)))
		require.False(t, g.Exists())
		require.Equal(t, "inactive", show(t, "run-one.scope", "ActiveState"))
	}
}

// TestSystemdBirth: a process is born in a scope, and is then the one that keeps it.
func TestSystemdBirth(t *testing.T) {
	l := systemdLayout(t)
	g, err := l.Group("system.slice:slipway-test:born")
	require.NoError(t, err)
	require.NoError(t, g.Create())
	t.Cleanup(func() { exec.Command("systemctl", "stop", "slipway-test-born.scope").Run() })
	files, err := g.JoinFiles()
	require.NoError(t, err)
	said := bear(t, files)
	closeAll(files)
	require.Empty(t, said.err)
	require.Empty(t, said.outside(g))
	g.Settle()
	require.NoError(t, g.Remove(within(t, 5*time.Second)))
}

func TestSystemdSlice(t *testing.T) {
	l := systemdLayout(t)
	g, err := l.Group("::slipwaytest.slice")
	require.NoError(t, err)
	require.NoError(t, g.Create())
	require.Equal(t, "active", show(t, "slipwaytest.slice", "ActiveState"))
	require.NoError(t, g.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(70))}}))
	require.Equal(t, "70", show(t, "slipwaytest.slice", "TasksMax"))
	require.NoError(t, g.Remove(within(t, 5*time.Second)))
	require.Equal(t, "inactive", show(t, "slipwaytest.slice", "ActiveState"))
}

// TestSystemdRefuses: a refusal reads like a path, and keeps systemd's words.
func TestSystemdRefuses(t *testing.T) {
	l := systemdLayout(t)
	g, err := l.Group("system.slice:slipway-test:refused")
	require.NoError(t, err)
	err = g.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(5))}})
	require.ErrorContains(t, err, "Unit slipway-test-refused.scope")
	var e *dbus.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, noSuchUnit, e.Name)
}

package runtime

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

func TestSubPaths(t *testing.T) {
	for _, row := range []struct {
		args []string
		want map[string]string
		err  string
	}{
		{args: nil, want: map[string]string{}},
		{args: []string{"/"}, want: map[string]string{"": "/"}},
		{args: []string{"sub/below"}, want: map[string]string{"": "sub/below"}},
		{args: []string{"memory:m", "cpu,cpuacct:/c"}, want: map[string]string{"memory": "m", "cpu": "/c", "cpuacct": "/c"}},
		{args: []string{"a", "b"}, err: "invalid --cgroup argument: a (missing <controller>: prefix)"},
		{args: []string{"cpu,:a"}, err: "invalid --cgroup argument: cpu,:a (empty <controller> prefix)"},
		{args: []string{"cpu:a", "memory,cpu:b"}, err: "invalid --cgroup argument(s): controller cpu specified multiple times"},
	} {
		got, err := subPaths(row.args)
		if row.err != "" {
			require.EqualError(t, err, row.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, row.want, got, row.args)
	}
}

func TestUnitProperties(t *testing.T) {
	got, err := unitProperties(map[string]string{
		"org.systemd.property.TimeoutStopSec":    "uint64 123456789",
		"org.systemd.property.TimeoutStopUSec":   "uint64 5",
		"org.systemd.property.CollectMode":       "'inactive-or-failed'",
		"org.systemd.property.After":             "['a.service', 'b.service']",
		"org.systemd.property.RuntimeMaxSec":     "2.5",
		"org.systemd.property.DefaultSomethingS": "true",
		"org.opencontainers.other":               "x",
	})
	require.NoError(t, err)
	require.Equal(t, dbus.Properties{
		{Name: "After", Value: []string{"a.service", "b.service"}},
		{Name: "CollectMode", Value: "inactive-or-failed"},
		{Name: "DefaultSomethingS", Value: true},
		{Name: "RuntimeMaxUSec", Value: uint64(2500000)},
		{Name: "TimeoutStopUSec", Value: uint64(123456789000000)},
		{Name: "TimeoutStopUSec", Value: uint64(5)},
	}, got)
	for key, value := range map[string]string{"A": "1", "Bad-Name": "1", "Name": "no value", "TimeoutSec": "'x'", "WaitSec": "-1"} {
		_, err := unitProperties(map[string]string{"org.systemd.property." + key: value})
		require.ErrorContains(t, err, "annotation org.systemd.property."+key)
	}
}

// TestBudget: what is asked for becomes what the kernel takes, and what is not done is said.
func TestBudget(t *testing.T) {
	var said []string
	rt := &Runtime{Warn: func(s string) { said = append(said, s) }, cgroups: CgroupOptions{Systemd: true, Rootless: new(true)}}
	r := &specs.LinuxResources{
		Pids:    &specs.LinuxPids{Limit: new(int64(0))},
		CPU:     &specs.LinuxCPU{Idle: new(int64(1)), Shares: new(uint64(5))},
		Memory:  &specs.LinuxMemory{Kernel: new(int64(5))}, //nolint:staticcheck // it is what the test is about
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}},
	}
	got := rt.budget(r)
	require.Equal(t, int64(1), *got.Pids.Limit, "into a group with 0 nothing can be born")
	require.Zero(t, *r.Pids.Limit)
	require.Nil(t, got.Devices, "an ordinary user may not say")
	require.Equal(t, []string{
		"linux.resources.memory.kernel is ignored: the kernel has no such limit any more",
		"unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight",
	}, said)

	said, rt.cgroups = nil, CgroupOptions{Rootless: new(false)}
	got = rt.budget(&specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Type: "c", Access: "rwx"}, {Allow: true, Access: "x"}, {Access: ""}}})
	require.Equal(t, []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Access: "rw"}, {Access: ""}}, got.Devices[:3])
	require.Len(t, said, 2)
	require.Nil(t, rt.change(r).Devices, "update leaves them as they are")
}

func TestLimited(t *testing.T) {
	for _, r := range []*specs.LinuxResources{
		nil,
		{},
		{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{}, Network: &specs.LinuxNetwork{}},
		{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}},
		{CPU: &specs.LinuxCPU{RealtimeRuntime: new(int64(0)), RealtimePeriod: new(uint64(0))}, Memory: &specs.LinuxMemory{DisableOOMKiller: new(false)}},
	} {
		require.False(t, limited(r), r)
	}
	for _, r := range []*specs.LinuxResources{
		{Memory: &specs.LinuxMemory{Swappiness: new(uint64(0))}},
		{Memory: &specs.LinuxMemory{DisableOOMKiller: new(true)}},
		{Memory: &specs.LinuxMemory{Limit: new(int64(1))}},
		{CPU: &specs.LinuxCPU{Cpus: "0"}},
		{Pids: &specs.LinuxPids{Limit: new(int64(0))}},
		{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(10))}},
		{Unified: map[string]string{"a.b": "c"}},
		{Network: &specs.LinuxNetwork{ClassID: new(uint32(1))}},
	} {
		require.True(t, limited(r), r)
	}
}

// TestGroupOwner follows runtime-spec config-linux.md, "Cgroup ownership".
func TestGroupOwner(t *testing.T) {
	mount := specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid"}}
	make := func(change func(*specs.Spec)) *specs.Spec {
		s := &specs.Spec{
			Process: &specs.Process{User: specs.User{UID: 5}}, Mounts: []specs.Mount{mount},
			Linux: &specs.Linux{
				Namespaces:  []specs.LinuxNamespace{{Type: specs.CgroupNamespace}, {Type: specs.UserNamespace}},
				UIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65536}},
			},
		}
		change(s)
		return s
	}
	for name, row := range map[string]struct {
		change func(*specs.Spec)
		uid    int
		ok     bool
	}{
		"mapped":              {func(*specs.Spec) {}, 100004, true},
		"read-only":           {func(s *specs.Spec) { s.Mounts[0].Options = []string{"ro"} }, 0, false},
		"elsewhere":           {func(s *specs.Spec) { s.Mounts[0].Destination = "/cg" }, 0, false},
		"no mount":            {func(s *specs.Spec) { s.Mounts = nil }, 0, false},
		"the host's view":     {func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[1:] }, 0, false},
		"not mapped":          {func(s *specs.Spec) { s.Process.User.UID = 70000 }, 0, false},
		"no user namespace":   {func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[:1] }, 5, true},
		"root of the machine": {func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[:1]; s.Process.User.UID = 0 }, 0, false},
	} {
		uid, ok := groupOwner(make(row.change))
		require.Equal(t, row.ok, ok, name)
		require.Equal(t, row.uid, uid, name)
	}
}

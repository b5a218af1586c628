package cgroup

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// TestSameAsRunc gives the same resources to runc and to Set: the kernel's files must say the same afterwards.
func TestSameAsRunc(t *testing.T) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Skip("needs runc on PATH, to compare with")
	}
	ours := newGroup(t)
	needs(t, ours.layout, "memory", "cpu", "pids", "cpuset", "devices")
	theirs, err := ours.layout.Group(testRoot() + "/runc")
	require.NoError(t, err)
	r := &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(96 << 20)), Reservation: new(int64(32 << 20))},
		CPU:     &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(25000)), Period: new(uint64(50000)), Cpus: "0", Mems: "0"},
		Pids:    &specs.LinuxPids{Limit: new(int64(77))},
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: new(int64(10)), Minor: new(int64(200)), Access: "rwm"}},
	}
	if p, _ := ours.at("memory"); !p.has("memory.memsw.limit_in_bytes") && !p.has("memory.swap.max") {
		r.Memory.Swap = nil
	}
	require.NoError(t, ours.Set(r))
	runRunc(t, runc, theirs.Path(), r)
	for _, row := range []struct{ controller, file string }{
		{"memory", "memory.limit_in_bytes"},
		{"memory", "memory.memsw.limit_in_bytes"},
		{"memory", "memory.soft_limit_in_bytes"},
		{"memory", "memory.max"},
		{"memory", "memory.swap.max"},
		{"memory", "memory.low"},
		{"cpu", "cpu.shares"}, // v2's weight is not compared: runc changed the conversion in 2025
		{"cpu", "cpu.cfs_quota_us"},
		{"cpu", "cpu.cfs_period_us"},
		{"cpu", "cpu.max"},
		{"pids", "pids.max"},
		{"cpuset", "cpuset.cpus"},
		{"cpuset", "cpuset.mems"},
	} {
		a, _ := ours.at(row.controller)
		b, _ := theirs.at(row.controller)
		if a.has(row.file) || b.has(row.file) {
			require.Equal(t, read(t, b, row.file), read(t, a, row.file), row.file)
		}
	}
	a, _ := ours.at("devices")
	b, _ := theirs.at("devices")
	if a.tree.version == 1 { // runc adds what every container needs
		for line := range strings.Lines(read(t, a, "devices.list")) {
			require.Contains(t, read(t, b, "devices.list"), line)
		}
	}
}

func read(t *testing.T, p place, file string) string {
	t.Helper()
	data, err := p.read(file)
	require.NoError(t, err)
	return data
}

// runRunc creates a container of nothing but busybox; it is never started.
func runRunc(t *testing.T, runc, group string, r *specs.LinuxResources) {
	t.Helper()
	bundle := t.TempDir()
	run := func(args ...string) {
		c := exec.Command(runc, append([]string{"--root", filepath.Join(bundle, "state")}, args...)...)
		c.Dir = bundle
		out, err := os.Create(filepath.Join(bundle, "out")) // no pipe: the container would hold it open
		require.NoError(t, err)
		defer out.Close()
		c.Stdout, c.Stderr = out, out
		err = c.Run()
		text, _ := os.ReadFile(out.Name())
		require.NoError(t, err, "runc %v: %s", args, text)
	}
	run("spec")
	var spec specs.Spec
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &spec))
	spec.Process.Terminal, spec.Process.Args, spec.Process.Rlimits = false, []string{"/bin/sh"}, nil
	spec.Linux.CgroupsPath, spec.Linux.Resources = group, r
	data, err = json.Marshal(spec)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644))
	for _, dir := range []string{"bin", "proc", "dev", "sys"} {
		require.NoError(t, os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755))
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs /bin/busybox, for runc's container")
	}
	require.NoError(t, os.WriteFile(filepath.Join(bundle, "rootfs/bin/sh"), busybox, 0o755))
	id := filepath.Base(group) + "-" + itoa(os.Getpid())
	run("create", id)
	t.Cleanup(func() { run("delete", "--force", id) })
}

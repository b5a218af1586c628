package cgroup

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
	"github.com/stretchr/testify/require"
)

// TestUnifiedProperties: v2 files by name, in systemd's words.
func TestUnifiedProperties(t *testing.T) {
	for _, row := range []struct {
		unified map[string]string
		want    dbus.Properties
	}{
		{map[string]string{"cpu.max": "max 50000"}, dbus.Properties{{Name: "CPUQuotaPeriodUSec", Value: uint64(50000)}, {Name: "CPUQuotaPerSecUSec", Value: uint64(Unlimited)}}},
		{map[string]string{"cpu.max": "5000"}, dbus.Properties{{Name: "CPUQuotaPeriodUSec", Value: uint64(100000)}, {Name: "CPUQuotaPerSecUSec", Value: uint64(50000)}}},
		{map[string]string{"cpu.max": "1 2 3"}, nil},
		{map[string]string{"cpuset.cpus": "1", "cpuset.mems": "0\n"}, dbus.Properties{{Name: "AllowedCPUs", Value: []byte{2}}, {Name: "AllowedMemoryNodes", Value: []byte{1}}}},
		{map[string]string{"cpu.idle": "1", "cpu.weight": "8"}, dbus.Properties{{Name: "CPUWeight", Value: uint64(0)}}},
		{map[string]string{"cpu.idle": "0", "cpu.weight": "8"}, dbus.Properties{{Name: "CPUWeight", Value: uint64(8)}}},
		{map[string]string{"pids.max": "max"}, dbus.Properties{{Name: "TasksMax", Value: uint64(Unlimited)}}},
	} {
		require.Equal(t, row.want, unifiedProperties(row.unified), row.unified)
	}
}

// TestIdleProperty: systemd knows idle as a weight of 0, and then takes no other.
func TestIdleProperty(t *testing.T) {
	now := facts{version: func(string) int { return 2 }, period: 100000, quota: "max"}
	got, err := properties(now, &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(200)), Idle: new(int64(1))}})
	require.NoError(t, err)
	require.Equal(t, dbus.Properties{{Name: "CPUWeight", Value: uint64(0)}}, got)
}

// TestSwapProperty: the sum less the memory limit, which may be the present one.
func TestSwapProperty(t *testing.T) {
	now := facts{version: func(string) int { return 2 }, memLimit: 64 << 20}
	got, err := properties(now, &specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: new(int64(96 << 20))}})
	require.NoError(t, err)
	require.Equal(t, dbus.Properties{{Name: "MemorySwapMax", Value: uint64(32 << 20)}}, got)
}

func TestQuotaInSteps(t *testing.T) {
	now := facts{period: 100000}
	for _, row := range []struct{ quota, period, want int64 }{
		{5000, 0, 5000}, {5001, 0, 6000}, {1, 0, 1000}, {333333, 1000000, 340000}, {-1, 0, -1}, {1 << 62, 0, 1 << 62},
	} {
		r := &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &row.quota}}
		if row.period != 0 {
			r.CPU.Period = new(uint64(row.period))
		}
		require.Equal(t, row.want, *inSteps(now, r).CPU.Quota, row)
		require.Equal(t, row.quota, *r.CPU.Quota, "what was given stays as it is")
	}
	require.Nil(t, inSteps(now, &specs.LinuxResources{}).CPU)
	now.quota = "500000"
	r := &specs.LinuxResources{CPU: &specs.LinuxCPU{Period: new(uint64(900000))}}
	require.Equal(t, int64(504000), *inSteps(now, r).CPU.Quota, "the quota that holds is rounded for the new period")
}

func TestLeadingNumber(t *testing.T) {
	for text, want := range map[string]int{"252.39-1~deb12u1": 252, "255": 255, "v245": 0, "": 0} {
		require.Equal(t, want, leadingNumber(text), text)
	}
}

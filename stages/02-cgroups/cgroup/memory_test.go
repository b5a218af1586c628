package cgroup

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

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

// TestOOMKillsBelow: who is killed in a group below counts, on v1 as on v2.
func TestOOMKillsBelow(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory")
	child, err := g.Below(map[string]string{"": "child"})
	require.NoError(t, err)
	require.NoError(t, child.Create())
	require.NoError(t, child.Set(memoryLimit(32<<20)))
	_, said := inside(t, child, "eat 64")
	require.Equal(t, "died", said)
	for name, group := range map[string]*Group{"above": g, "itself": child} {
		require.Eventually(t, func() bool {
			kills, err := group.OOMKills()
			require.NoError(t, err)
			return kills >= 1
		}, 5*time.Second, 10*time.Millisecond, name)
	}
}

package cgroup

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func hierarchies(t *testing.T, mountinfo, self string) *Layout {
	t.Helper()
	l, err := Parse(strings.NewReader(mountinfo), strings.NewReader(self))
	require.NoError(t, err)
	return l
}

func TestBelow(t *testing.T) {
	l := hierarchies(t, "1 0 0:1 / /cg/cpu rw - cgroup c rw,cpu,cpuacct\n2 0 0:2 / /cg/memory rw - cgroup c rw,memory\n3 0 0:3 / /cg/unified rw - cgroup2 c rw",
		"1:cpu,cpuacct:/\n2:memory:/\n0::/")
	g, err := l.Group("/a")
	require.NoError(t, err)
	for _, row := range []struct {
		paths map[string]string
		want  []string
	}{
		{nil, []string{"/cg/cpu/a", "/cg/memory/a", "/cg/unified/a"}},
		{map[string]string{"": "/"}, []string{"/cg/cpu/a", "/cg/memory/a", "/cg/unified/a"}},
		{map[string]string{"": "b/c"}, []string{"/cg/cpu/a/b/c", "/cg/memory/a/b/c", "/cg/unified/a/b/c"}},
		{map[string]string{"memory": "/m"}, []string{"/cg/cpu/a", "/cg/memory/a/m", "/cg/unified/a"}},
		{map[string]string{"cpuacct": "c"}, []string{"/cg/cpu/a/c", "/cg/memory/a", "/cg/unified/a"}},
	} {
		below, err := g.Below(row.paths)
		require.NoError(t, err)
		var got []string
		for _, d := range below.Dirs() {
			got = append(got, d.Path)
		}
		require.Equal(t, row.want, got, row.paths)
	}
	for sub, want := range map[string]string{"..": "bad sub cgroup path: ..", "b/../..": "bad sub cgroup path: b/../.."} {
		_, err := g.Below(map[string]string{"": sub})
		require.EqualError(t, err, want)
	}
	_, err = g.Below(map[string]string{"whaaat": "/"})
	require.EqualError(t, err, "unknown controller whaaat: this machine has hybrid with [cpu cpuacct memory]")
}

// TestGive: who is given a group may make groups below it, and may not change its limits.
func TestGive(t *testing.T) {
	g := newGroup(t)
	if g.layout.Mode() != V2 {
		require.NoError(t, g.Give(1500))
		info, err := os.Stat(g.Dirs()[0].Path)
		require.NoError(t, err)
		require.Zero(t, info.Sys().(*syscall.Stat_t).Uid, "on v1 delegation is unsafe")
		return
	}
	require.NoError(t, g.Give(1500))
	for file, owner := range map[string]uint32{".": 1500, "cgroup.procs": 1500, "cgroup.subtree_control": 1500, "cgroup.freeze": 0, "cgroup.max.depth": 0} {
		info, err := os.Stat(g.Dirs()[0].Path + "/" + file)
		require.NoError(t, err)
		require.Equal(t, owner, info.Sys().(*syscall.Stat_t).Uid, file)
	}
}

// TestAdmits: a v2 group that passes controllers on has no room for a process.
func TestAdmits(t *testing.T) {
	g := newGroup(t)
	require.True(t, g.Admits())
	require.True(t, g.Reachable(), "root may")
	if g.layout.Mode() != V2 {
		return
	}
	require.NoError(t, g.passAllOn())
	require.False(t, g.Admits())
	gone, err := g.Below(map[string]string{"": "nobody"})
	require.NoError(t, err)
	require.False(t, gone.Admits())
}

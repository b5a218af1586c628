package cgroup

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

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

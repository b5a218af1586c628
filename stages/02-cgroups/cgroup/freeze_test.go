package cgroup

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

package cgroup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// newGroup makes a group of this test's own, and takes it away with all that is in it.
func newGroup(t *testing.T) *Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: control groups")
	}
	l, err := Detect()
	require.NoError(t, err)
	g, err := l.Group(fmt.Sprintf("/slipway-test-%d/%s", os.Getpid(), t.Name()))
	require.NoError(t, err)
	require.NoError(t, g.Create())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		parent, err := l.Group(fmt.Sprintf("/slipway-test-%d", os.Getpid()))
		require.NoError(t, err)
		require.NoError(t, parent.Kill(ctx))
		require.NoError(t, parent.Remove(ctx))
	})
	return g
}

func TestSmoke(t *testing.T) {
	g := newGroup(t)
	t.Log(g.layout.Mode(), g.layout.Controllers())
	require.NoError(t, g.Set(&specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20))},
		Pids:    &specs.LinuxPids{Limit: new(int64(10))},
		CPU:     &specs.LinuxCPU{Quota: new(int64(50000)), Shares: new(uint64(512)), Cpus: "0"},
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3)), Access: "rwm"}},
	}))
	cmd := exec.Command("sleep", "100")
	require.NoError(t, cmd.Start())
	require.NoError(t, g.Join(cmd.Process.Pid))
	pids, err := g.AllPids()
	require.NoError(t, err)
	require.Equal(t, []int{cmd.Process.Pid}, pids)
	require.NoError(t, g.Freeze(t.Context()))
	frozen, err := g.Frozen()
	require.NoError(t, err)
	require.True(t, frozen)
	require.NoError(t, g.Thaw(t.Context()))
	s, err := g.Stats()
	require.NoError(t, err)
	s.Memory.Raw = nil
	j, _ := json.MarshalIndent(s, "", " ")
	t.Log(string(j))
	oom, err := g.OOM(t.Context())
	require.NoError(t, err)
	require.NoError(t, g.Kill(t.Context()))
	cmd.Wait()
	require.NoError(t, g.Remove(t.Context()))
	_, open := <-oom
	require.False(t, open)
	require.False(t, g.Exists())
}

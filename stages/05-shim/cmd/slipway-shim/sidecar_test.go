package main

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSidecar(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	annotation := func(script string) map[string]string {
		value, err := json.Marshal(map[string]any{"args": []string{"/bin/sh", "-c", script}})
		require.NoError(t, err)
		return map[string]string{"io.slipway.sidecar": string(value)}
	}
	helper := annotation(`echo $$ >` + file + `; printf '0\n' >&3; exec 3>&-; exec sleep 60`)
	pid := func() int {
		n, err := readNumber(file)
		require.NoError(t, err)
		return n
	}
	t.Run("ends with the container", func(t *testing.T) {
		h := newHost(t, "exec sleep 60", helper)
		h.run(stdioURIs{})
		require.True(t, alive(pid()))
		require.NoError(t, h.kill(unix.SIGKILL))
		h.wait("")
		require.False(t, alive(pid()), "ports must be free when the exit is told")
	})
	t.Run("ends with a shim that is killed", func(t *testing.T) {
		h := newHost(t, "exec sleep 60", helper)
		h.run(stdioURIs{})
		require.True(t, alive(pid()))
		require.NoError(t, unix.Kill(h.pid, unix.SIGKILL))
		require.Eventually(t, func() bool { return !alive(pid()) }, 2*time.Second, 10*time.Millisecond)
	})
	t.Run("fails start in its own words", func(t *testing.T) {
		h := newHost(t, "true", annotation(`printf '1\nport 80: address already in use\n' >&3`))
		h.start()
		require.NoError(t, h.create(stdioURIs{}))
		_, err := h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
		require.ErrorContains(t, err, "port 80: address already in use")
	})
}

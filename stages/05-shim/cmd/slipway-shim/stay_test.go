package main

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/stretchr/testify/require"
)

// TestStart: the process that was asked to start serves by itself when its manager said that it may
// and gave it a session of its own, and makes another one otherwise. Either way the answer's end is seen.
func TestStart(t *testing.T) {
	for _, row := range []struct {
		name         string
		env          string
		session      bool
		wantItServes bool
	}{
		{"may stay", "SLIPWAY_SHIM_STAY=1", true, true},
		{"not in a session of its own", "SLIPWAY_SHIM_STAY=1", false, false},
		{"not asked", "NOTHING=1", true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHost(t, "exit 3", nil)
			cmd := h.command("start")
			cmd.Env = append(cmd.Env, "MAX_SHIM_VERSION=2", row.env)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: row.session}
			answer, out, err := os.Pipe()
			require.NoError(t, err)
			defer answer.Close()
			cmd.Stdout = out
			require.NoError(t, cmd.Start())
			require.NoError(t, out.Close())
			text, err := io.ReadAll(answer)
			require.NoError(t, err)
			require.Equal(t, row.wantItServes, strings.Contains(string(text), `"stays":true`), "%s", text)
			if row.wantItServes {
				require.NoError(t, cmd.Process.Release())
			} else {
				require.NoError(t, cmd.Wait())
			}
			address, err := os.ReadFile(h.bundle + "/address")
			require.NoError(t, err)
			h.address = string(address)
			h.connect()
			t.Cleanup(h.end)
			shim, err := h.shim.Connect(t.Context(), &api.ConnectRequest{ID: h.id})
			require.NoError(t, err)
			h.pid = int(shim.ShimPid)
			require.NoError(t, h.create(stdioURIs{}))
			_, err = h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
			require.NoError(t, err)
			require.Equal(t, 3, h.wait(""))
		})
	}
}

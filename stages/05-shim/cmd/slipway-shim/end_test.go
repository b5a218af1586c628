package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// TestShimIsKilled: the container's end is found out by `delete`, from the record or by doing it.
func TestShimIsKilled(t *testing.T) {
	for _, row := range []struct {
		name, script string
		ended        bool
		want         uint32
	}{
		{"while it runs", "exec sleep 60", false, 137},
		{"after it ended", "exit 5", true, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHost(t, row.script, nil)
			h.run(stdioURIs{})
			if row.ended {
				require.Equal(t, row.want, uint32(h.wait("")))
			}
			require.NoError(t, unix.Kill(h.pid, unix.SIGKILL))
			h.reapShim()
			out, err := h.command("delete").Output()
			require.NoError(t, err)
			var answer api.DeleteResponse
			require.NoError(t, proto.Unmarshal(out, &answer))
			require.Equal(t, row.want, answer.ExitStatus)
			require.NotZero(t, answer.Pid)
			require.NoFileExists(t, strings.TrimPrefix(h.address, "unix://"))
			require.False(t, alive(int(answer.Pid)))
		})
	}
}

// alive reads the state: a zombie is dead (proc_pid_stat(5)).
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(data), ") Z ") && !strings.Contains(string(data), ") X ") // zombie, and being reaped
}

func TestSignalsDoNotEndAShimWithContainers(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE} {
		require.NoError(t, unix.Kill(h.pid, sig))
	}
	time.Sleep(100 * time.Millisecond)
	_, err := h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(t, err)
}

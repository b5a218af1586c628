package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestSocketIsPrivate(t *testing.T) {
	h := newHost(t, "true", nil)
	h.start()
	socket := strings.TrimPrefix(h.address, "unix://")
	info, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestPod: containers with the same sandbox share a shim, which stays until the last is deleted.
func TestPod(t *testing.T) {
	pod := map[string]string{"io.kubernetes.cri.sandbox-id": "pod1"}
	first := newHost(t, "exit 1", pod)
	first.run(stdioURIs{})
	second := newHost(t, "exit 2", pod)
	second.id, second.dir = "c2", first.dir // the same place for sockets
	out, err := second.command("start").Output()
	require.NoError(t, err)
	require.Equal(t, first.address, string(out))
	second.address = string(out)
	second.connect()
	require.NoError(t, second.create(stdioURIs{}))
	_, err = second.shim.Start(t.Context(), &api.StartRequest{ID: "c2"})
	require.NoError(t, err)
	require.Equal(t, 1, first.wait(""))
	require.Equal(t, 2, second.wait(""))
	_, err = first.delete("")
	require.NoError(t, err)
	_, err = first.shim.Shutdown(t.Context(), &api.ShutdownRequest{ID: "c1"})
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	_, err = second.delete("")
	require.NoError(t, err, "the shim has stayed for the other")
}

func TestVersionThreeIsTheSameService(t *testing.T) {
	h := newHost(t, "true", nil)
	h.start()
	conn, err := net.Dial("unix", strings.TrimPrefix(h.address, "unix://"))
	require.NoError(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	var answer api.ConnectResponse
	require.NoError(t, client.Call(t.Context(), "containerd.task.v3.Task", "Connect", &api.ConnectRequest{ID: h.id}, &answer))
	require.Equal(t, h.pid, int(answer.ShimPid))
}

func TestInfoAndVersion(t *testing.T) {
	out, err := exec.Command(program("slipway-shim"), "-v").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "Version:")
	out, err = exec.Command(program("slipway-shim"), "-info").Output()
	require.NoError(t, err)
	var info types.RuntimeInfo
	require.NoError(t, proto.Unmarshal(out, &info))
	require.Equal(t, "io.containerd.runc.v2", info.Name)
}

func TestWrongUse(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"start", "-namespace and -id are needed"},
		{"-namespace n -id i dance", `unknown action "dance": want start or delete`},
		{"-namespace n", `unknown action ""`},
	} {
		out, err := exec.Command(program("slipway-shim"), strings.Fields(row.args)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), row.want)
	}
}

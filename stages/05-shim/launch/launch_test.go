package launch

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswer(t *testing.T) {
	for _, row := range []struct{ max, want string }{
		{"", "unix:///s"},
		{"nonsense", "unix:///s"},
		{"1", "unix:///s"},
		{"2", `{"version":2,"address":"unix:///s","protocol":"ttrpc"}`},
		{"3", `{"version":3,"address":"unix:///s","protocol":"ttrpc"}`},
		{"9", `{"version":3,"address":"unix:///s","protocol":"ttrpc"}`},
	} {
		got, err := Answer("unix:///s", row.max, false)
		require.NoError(t, err)
		require.Equal(t, row.want, got, "MAX_SHIM_VERSION=%s", row.max)
	}
}

func TestGroup(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, "c1", Group(dir, "c1"), "no config.json")
	config := `{"annotations":{"io.kubernetes.cri.sandbox-id":"pod1"}}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600))
	require.Equal(t, "pod1", Group(dir, "c1"))
}

func TestSocketPathsDifferAndAreShort(t *testing.T) {
	a := SocketPath(DefaultSocketDir, "/run/m.sock", "ns", "c1")
	require.Less(t, len(a), 107)
	require.Equal(t, a, SocketPath(DefaultSocketDir, "/run/m.sock", "ns", "c1"))
	require.NotEqual(t, a, SocketPath(DefaultSocketDir, "/run/m.sock", "n", "sc1"))
}

func TestListenReplacesTheDeadNotTheLiving(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "d", "s")
	unlock, err := Lock(socket)
	require.NoError(t, err)
	defer unlock()
	first, err := Listen(socket)
	require.NoError(t, err)
	_, err = Listen(socket)
	require.ErrorIs(t, err, ErrServed)
	require.NoError(t, first.Close()) // dead; its file stays
	require.FileExists(t, socket)
	second, err := Listen(socket)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestGuardCounts(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := Listen(socket)
	require.NoError(t, err)
	guard := NewGuard(l)
	defer guard.Close()
	client, err := net.Dial("unix", socket)
	require.NoError(t, err)
	defer client.Close()
	conn, err := guard.Accept()
	require.NoError(t, err)
	open, _ := guard.Connections()
	require.Equal(t, 1, open)
	require.NoError(t, conn.Close())
	conn.Close()
	open, _ = guard.Connections()
	require.Zero(t, open)
}

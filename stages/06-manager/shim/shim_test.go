package shim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

func TestProgram(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "containerd-shim-kata-v2"), []byte("#!/bin/sh\n"), 0o700))
	t.Setenv("PATH", bin)
	for _, tc := range []struct {
		runtime, want string
		kind          fault.Kind
	}{
		{"io.containerd.runc.v2", "/own/slipway-shim", fault.Unknown},
		{"", "/own/slipway-shim", fault.Unknown},
		{"/opt/my-shim", "/opt/my-shim", fault.Unknown},
		{"io.containerd.kata.v2", filepath.Join(bin, "containerd-shim-kata-v2"), fault.Unknown},
		{"io.containerd.gone.v1", "", fault.NotFound},
		{"bin/shim", "", fault.InvalidArgument},
		{"runc", "", fault.InvalidArgument},
		{"io.containerd..", "", fault.InvalidArgument},
	} {
		got, err := Program(tc.runtime, "/own/slipway-shim")
		require.Equal(t, tc.kind, fault.KindOf(err), "%s: %v", tc.runtime, err)
		require.Equal(t, tc.want, got, tc.runtime)
	}
}

func TestParseParams(t *testing.T) {
	for _, tc := range []struct {
		name, out string
		want      Params
		socket    string
	}{
		{"plain", "unix:///run/s/1\n", Params{Version: 2, Address: "unix:///run/s/1", Protocol: "ttrpc"}, "/run/s/1"},
		{"a bare path", "/run/s/1", Params{Version: 2, Address: "/run/s/1", Protocol: "ttrpc"}, "/run/s/1"},
		{"JSON", `{"version":2,"address":"unix:///a","protocol":"ttrpc"}`, Params{Version: 2, Address: "unix:///a", Protocol: "ttrpc"}, "/a"},
		{"version 3", `{"version":3,"address":"unix:///a","protocol":""}`, Params{Version: 3, Address: "unix:///a", Protocol: "ttrpc"}, "/a"},
		{"the server itself", `{"version":2,"address":"unix:///a","protocol":"ttrpc","stays":true}`, Params{Version: 2, Address: "unix:///a", Protocol: "ttrpc", Stays: true}, "/a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseParams([]byte(tc.out))
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			path, err := got.Socket()
			require.NoError(t, err)
			require.Equal(t, tc.socket, path)
		})
	}
	for _, bad := range []string{
		"", "unix://\x00abstract", "vsock://3:4", "{", `{"version":9,"address":"/a"}`, `{"version":3,"address":"/a","protocol":"grpc"}`,
	} {
		_, err := ParseParams([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add([]byte("unix:///run/s"))
	f.Add([]byte(`{"version":3,"address":"unix:///a"}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		p, err := ParseParams(out)
		if err != nil {
			return
		}
		path, err := p.Socket()
		require.NoError(t, err)
		require.True(t, filepath.IsAbs(path))
	})
}

func TestBundle(t *testing.T) {
	state := t.TempDir()
	b, err := Make(state, "ns", "web", []byte("{}"), "/own/shim")
	require.NoError(t, err)
	_, err = Make(state, "ns", "web", nil, "")
	require.True(t, fault.Is(err, fault.AlreadyExists))

	fi, err := os.Stat(b.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), fi.Mode().Perm())
	program, err := b.Program()
	require.NoError(t, err)
	require.Equal(t, "/own/shim", program)
	found, err := List(state)
	require.NoError(t, err)
	require.Equal(t, []Bundle{b}, found)

	want := Exit{ID: "web", ExecID: "e1", Pid: 3, Status: 7, ExitedAt: time.Unix(1, 0).UTC()}
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.Path("exit-e1.json"), raw, 0o600))
	require.NoError(t, os.WriteFile(b.Path("exit.json"), []byte("{torn"), 0o600))
	require.Equal(t, map[string]Exit{"e1": want}, b.Exits())

	_, err = LoadParams(b)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(b.Path("address"), []byte("unix:///from/the/shim"), 0o600))
	p, err := LoadParams(b)
	require.NoError(t, err)
	require.Equal(t, "unix:///from/the/shim", p.Address)
	require.NoError(t, Params{Version: 2, Address: "/ours", Protocol: "ttrpc"}.save(b))
	p, err = LoadParams(b)
	require.NoError(t, err)
	require.Equal(t, "/ours", p.Address)

	require.NoError(t, b.Remove())
	require.NoDirExists(t, b.Dir)
	require.NoError(t, b.Remove(), "again is harmless")
}

// TestRemoveSparesMounts: what is mounted on rootfs is unmounted, never deleted.
func TestRemoveSparesMounts(t *testing.T) {
	runtime.LockOSThread() // and never unlock: the thread's mount namespace is its own, and ends with it
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Skip("needs CAP_SYS_ADMIN for a mount namespace")
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	b, err := Make(t.TempDir(), "ns", "web", nil, "")
	require.NoError(t, err)
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "precious"), nil, 0o600))
	for range 2 { // stacked
		require.NoError(t, unix.Mount(files, b.Path("rootfs"), "", unix.MS_BIND, ""))
	}
	require.NoError(t, b.Remove())
	require.FileExists(t, filepath.Join(files, "precious"))
	require.NoDirExists(t, b.Dir)

	b, err = Make(t.TempDir(), "ns", "web", nil, "")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.Path("rootfs"), "x"), nil, 0o600))
	require.Error(t, b.Remove(), "files written where a mount should have been are not ours to delete")
}

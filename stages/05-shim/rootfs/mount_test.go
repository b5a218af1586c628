package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name string
		in   *types.Mount
		want Plan
	}{
		{
			"overlay",
			&types.Mount{Type: "overlay", Source: "overlay", Options: []string{"index=off", "workdir=/w", "upperdir=/u", "lowerdir=/b:/a"}},
			Plan{Type: "overlay", Source: "overlay", Data: "index=off,workdir=/w,upperdir=/u,lowerdir=/b:/a"},
		},
		{
			"bind, writable",
			&types.Mount{Type: "bind", Source: "/s", Options: []string{"rbind", "rw"}},
			Plan{Source: "/s", Flags: unix.MS_BIND | unix.MS_REC},
		},
		{
			"bind, read-only: a second step",
			&types.Mount{Type: "bind", Source: "/s", Options: []string{"rbind", "ro"}},
			Plan{Source: "/s", Flags: unix.MS_BIND | unix.MS_REC | unix.MS_RDONLY, Remount: unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY},
		},
		{
			"the last word counts",
			&types.Mount{Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "rw", "nosuid", "size=1m"}},
			Plan{Type: "tmpfs", Source: "tmpfs", Flags: unix.MS_NOSUID, Data: "size=1m"},
		},
		{
			"with other owners",
			&types.Mount{Type: "overlay", Source: "overlay", Options: []string{"uidmap=0:100000:10", "lowerdir=/a", "gidmap=0:200000:10"}},
			Plan{Type: "overlay", Source: "overlay", Data: "lowerdir=/a", IDs: &idmap.Map{
				UIDs: []idmap.Range{{Host: 100000, Size: 10}}, GIDs: []idmap.Range{{Host: 200000, Size: 10}},
			}},
		},
	} {
		got, err := Parse(row.in)
		require.NoError(t, err, row.name)
		require.Equal(t, row.want, got, row.name)
	}
}

func mounted(t *testing.T, target string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	return strings.Count(string(data), " "+target+" ")
}

// TestManyLayers: more options than fit into mount(2)'s page.
func TestManyLayers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	var layers []string
	for i := range 100 {
		layer := filepath.Join(dir, strings.Repeat("x", 40), "layer", string(rune('a'+i/26))+string(rune('a'+i%26)))
		require.NoError(t, os.MkdirAll(layer, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(layer, filepath.Base(layer)), nil, 0o600))
		layers = append(layers, layer)
	}
	for _, sub := range []string{"u", "w"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	target := filepath.Join(dir, "rootfs")
	request := []*types.Mount{{Type: "overlay", Source: "overlay", Options: []string{
		"workdir=" + dir + "/w", "upperdir=" + dir + "/u", "lowerdir=" + strings.Join(layers, ":"),
	}}}
	err := Mount(request, target)
	t.Cleanup(func() { require.NoError(t, Unmount(target)) })
	require.NoError(t, err)
	require.Equal(t, 1, mounted(t, target))
	entries, err := os.ReadDir(target)
	require.NoError(t, err)
	require.Len(t, entries, 100)
	require.NoError(t, Unmount(target))
	require.Zero(t, mounted(t, target))
	require.NoError(t, Unmount(target), "nothing is there: fine")
}

func TestNothingStaysMountedOnError(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	target := filepath.Join(t.TempDir(), "rootfs")
	err := Mount([]*types.Mount{
		{Type: "tmpfs", Source: "tmpfs"},
		{Type: "bind", Source: "/no/such/place", Options: []string{"bind"}},
	}, target)
	require.ErrorContains(t, err, "mount /no/such/place of type bind on "+target)
	require.Zero(t, mounted(t, target))
}

// TestMapped is a root for a user namespace, as a snapshotter that maps asks for it.
func TestMapped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	for _, sub := range []string{"low", "fs", "work"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	if err := idmap.Probe("overlay", dir); err != nil {
		t.Skip("needs a kernel that maps the layers of an overlay: ", err)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "low/f"), nil, 0o600))
	target := filepath.Join(dir, "rootfs")
	request := &types.Mount{Type: "overlay", Source: "overlay", Options: []string{
		"uidmap=0:100000:65536", "gidmap=0:200000:65536",
		"workdir=" + dir + "/work", "upperdir=" + dir + "/fs", "lowerdir=" + dir + "/low",
	}}
	t.Cleanup(func() { require.NoError(t, Unmount(target)) })
	require.NoError(t, Mount([]*types.Mount{request}, target))
	require.Equal(t, 1, mounted(t, target))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(target, "f"), &st))
	require.Equal(t, [2]uint32{100000, 200000}, [2]uint32{st.Uid, st.Gid})

	request.Options = append(request.Options, "uidmap=rubbish")
	require.ErrorContains(t, Mount([]*types.Mount{request}, target), `id map "rubbish" is not CONTAINER:HOST:SIZE`)
	require.Equal(t, 1, mounted(t, target))
}

package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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
	} {
		require.Equal(t, row.want, Parse(row.in), row.name)
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

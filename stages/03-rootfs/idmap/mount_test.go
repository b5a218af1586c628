package idmap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/apart"
	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const base = 100000 // the host's id of the container's root

// tree makes directories on a file system whose mounts can be mapped, or skips.
func tree(t *testing.T, kind string, names ...string) (at func(string) string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := idmap.Probe(kind, dir); err != nil {
		t.Skip("needs a kernel that maps mounts on the file system of ", dir, ": ", err)
	}
	at = func(name string) string { return filepath.Join(dir, name) }
	for _, name := range append(names, "target") {
		require.NoError(t, os.MkdirAll(at(name), 0o755))
	}
	return at
}

func owner(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	assert.NoError(t, unix.Lstat(path, &st))
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

func ids() *idmap.Map {
	return &idmap.Map{UIDs: []idmap.Range{{Host: base, Size: 1000}}, GIDs: []idmap.Range{{Host: base, Size: 1000}}}
}

// mounted looks at the mount from where nobody else sees it: a goroutine that a failed require must not end.
func mounted(t *testing.T, m idmap.Mount, target string, look func()) {
	t.Helper()
	require.NoError(t, apart.Do(func() error {
		if err := m.On(target, ids()); err != nil {
			return err
		}
		look()
		return unix.Unmount(target, 0)
	}))
}

func TestBind(t *testing.T) {
	at := tree(t, "bind", "source")
	require.NoError(t, os.WriteFile(at("source/f"), nil, 0o644))
	require.NoError(t, os.Chown(at("source/f"), 7, 8))
	mounted(t, idmap.Mount{Type: "bind", Source: at("source"), Flags: unix.MS_RDONLY}, at("target"), func() {
		assert.Equal(t, "100007:100008", owner(t, at("target/f")))
		assert.ErrorIs(t, os.WriteFile(at("target/g"), nil, 0o644), unix.EROFS)
	})
	require.Equal(t, "7:8", owner(t, at("source/f")), "the disk stays as it is")
	err := idmap.Mount{Type: "tmpfs", Source: "tmpfs"}.On(at("target"), ids())
	require.ErrorContains(t, err, "not tmpfs")
}

// TestOverlay: with an upper directory that is root's on disk (ours), what the container's root makes is root's there; with one that is the
// container's root's already (containerd's snapshotter), what is below is mapped alone. What the container sees is the same.
func TestOverlay(t *testing.T) {
	for _, row := range []struct{ name, upper, onDisk string }{
		{"an upper directory of root's", "0:0", "0:0"},
		{"an upper directory of the container's root's", "100000:100000", "100000:100000"},
	} {
		t.Run(row.name, func(t *testing.T) {
			at := tree(t, "overlay", "fs", "work")
			var lowers []string
			for i := range 200 { // more than fit into the page of options by their paths
				dir := at(fmt.Sprintf("%s/%d/layer", strings.Repeat("x", 40), i))
				require.NoError(t, os.MkdirAll(dir, 0o755))
				lowers = append(lowers, dir)
			}
			require.NoError(t, os.WriteFile(filepath.Join(lowers[199], "low"), []byte("x"), 0o644))
			if row.upper != "0:0" {
				require.NoError(t, os.Chown(at("fs"), base, base))
			}
			m := idmap.Mount{Type: "overlay", Source: "overlay", Data: []string{
				"lowerdir=" + strings.Join(lowers, ":"), "upperdir=" + at("fs"), "workdir=" + at("work"),
			}}
			mounted(t, m, at("target"), func() {
				assert.Equal(t, "100000:100000", owner(t, at("target")))
				assert.Equal(t, "100000:100000", owner(t, at("target/low")))
				assert.NoError(t, os.Chmod(at("target/low"), 0o600)) // copies it up
				assert.Equal(t, "100000:100000", owner(t, at("target/low")))
			})
			require.Equal(t, row.onDisk, owner(t, at("fs/low")))
			require.Equal(t, "0:0", owner(t, filepath.Join(lowers[199], "low")))
		})
	}
}

package snapshot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot/snapshottest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onBtrfs gives a directory of a btrfs in a file.
func onBtrfs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: real mounts")
	}
	mkfs, err := exec.LookPath("mkfs.btrfs")
	if err != nil {
		t.Skip("needs mkfs.btrfs (Debian: btrfs-progs)")
	}
	image, dir := filepath.Join(t.TempDir(), "btrfs"), t.TempDir()
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 512<<20))
	out, err := exec.CommandContext(t.Context(), mkfs, "-q", image).CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), "mount", "-t", "btrfs", "-o", "loop", image, dir).CombinedOutput()
	if err != nil {
		t.Skipf("needs btrfs in the kernel, and a loop device: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestBtrfs(t *testing.T) {
	snapshottest.RunBelow(t, onBtrfs(t), func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewBtrfs(dir) })
}

// A child is a subvolume that shares its parent's blocks.
func TestBtrfsSharesBlocks(t *testing.T) {
	dir := onBtrfs(t)
	s, err := snapshot.NewBtrfs(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	base, err := s.Prepare(t.Context(), "a", "", nil)
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(base[0].Source, "big"))
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 150<<20))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, s.Commit(t.Context(), "base", "a", nil))
	for _, key := range []string{"one", "two", "three", "four"} { // copies would not fit
		ms, err := s.Prepare(t.Context(), key, "base", nil)
		require.NoError(t, err)
		fi, err := os.Stat(filepath.Join(ms[0].Source, "big"))
		require.NoError(t, err)
		require.Equal(t, int64(150<<20), fi.Size())
		var st unix.Stat_t
		require.NoError(t, unix.Stat(ms[0].Source, &st))
		require.Equal(t, uint64(256), st.Ino, "the root of a subvolume")
	}
	for _, key := range []string{"one", "two", "three", "four"} {
		require.NoError(t, s.Remove(t.Context(), key))
	}
}

func TestBtrfsElsewhere(t *testing.T) {
	_, err := snapshot.NewBtrfs(t.TempDir())
	if err == nil {
		t.Skip("needs a temporary directory that is not on btrfs")
	}
	require.ErrorIs(t, err, snapshot.ErrInvalid)
}

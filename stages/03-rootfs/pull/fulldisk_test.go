package pull_test

import (
	"archive/tar"
	"crypto/rand"
	"os"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { shield.Main(m) }

func noise(n int) string {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return string(p)
}

// small mounts a file system of n bytes.
func small(t *testing.T, n string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a tmpfs of its own")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+n))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestFullDiskWhilePulling(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, true,
		tarOf(entry{name: "a", body: noise(1 << 20), typ: tar.TypeReg}), tarOf(entry{name: "b", body: noise(1 << 20), typ: tar.TypeReg}))
	dir := small(t, "1536k")
	s, err := content.Open(dir)
	require.NoError(t, err)
	b.store = s
	_, err = b.fetch(":v1", pull.Options{})
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "blob sha256:")
	t.Log(err)
	b.noIngests()
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &st))
	require.Greater(t, st.Bavail*uint64(st.Bsize), uint64(256<<10), "the room that the half took is free again")
}

func TestFullDiskWhileUnpacking(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, true, tarOf(entry{name: "a", body: "small", typ: tar.TypeReg}), tarOf(entry{name: "b", body: noise(4 << 20), typ: tar.TypeReg}))
	img, err := b.fetch(":v1", pull.Options{})
	require.NoError(t, err)
	s, err := snapshot.NewOverlay(small(t, "2m"))
	require.NoError(t, err)
	defer s.Close()
	_, err = pull.Unpack(t.Context(), img, b.store, s, pull.Options{})
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "layer sha256:") // either: the small one is unpacked at the same time
	t.Log(err)
	require.NoError(t, s.Walk(t.Context(), func(i snapshot.Info) error { t.Errorf("left: %q", i.Name); return nil }))
}

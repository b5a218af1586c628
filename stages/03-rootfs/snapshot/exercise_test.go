package snapshot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

const overlayTitle = "three directories become one root"

// TestOverlayMounts is the test of the exercise rootfs.overlay.
func TestOverlayMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: real mounts")
	}
	s, err := snapshot.NewOverlay(t.TempDir())
	require.NoError(t, err)
	defer s.Close()
	parent := ""
	for i, text := range []string{"bottom", "middle", "top"} {
		mounts, err := s.Prepare(t.Context(), "k", parent, nil)
		teach.Begun(t, err)
		require.NoError(t, err)
		// Each layer writes into the directory that takes what is written.
		require.NoError(t, os.WriteFile(filepath.Join(written(mounts[0]), "who"), []byte(text), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(written(mounts[0]), text), nil, 0o644))
		parent = fmt.Sprint("layer", i)
		require.NoError(t, s.Commit(t.Context(), parent, "k", nil))
	}
	mounts, err := s.Prepare(t.Context(), "web", parent, nil)
	require.NoError(t, err)
	stack(t, mounts, func(dir string) {
		who, err := os.ReadFile(filepath.Join(dir, "who"))
		require.NoError(t, err)
		if string(who) != "top" {
			failOrder(t, mounts, string(who))
		}
		for _, name := range []string{"bottom", "middle", "top"} {
			require.FileExists(t, filepath.Join(dir, name))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
	})
}

func written(m snapshot.Mount) string {
	for _, o := range m.Options {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			return dir
		}
	}
	return m.Source
}

// stack mounts, or tells why the kernel refused.
func stack(t *testing.T, mounts []snapshot.Mount, look func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	err := snapshot.MountAll(mounts, dir)
	if err == nil {
		_, err = os.Stat(dir)
		defer func() { require.NoError(t, snapshot.UnmountAll(dir)) }()
	}
	probe := err
	if err == nil {
		probe = os.WriteFile(filepath.Join(dir, "probe"), nil, 0o644)
	}
	if probe != nil {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.overlay", Code: "FS-OVERLAY-2", Title: overlayTitle,
			Did:   "prepared a snapshot on top of three layers, mounted it, and wrote a file",
			Saw:   probe.Error(),
			Want:  "a file system that can be written",
			Means: "overlayfs writes only when it has an upperdir, and for that it needs a workdir: an empty directory on the same file system, in which it makes things ready before it renames them into the upper one. A missing or foreign one is EINVAL at mount; without an upperdir everything is EROFS. dmesg has the kernel's own words.",
			Try:   "dmesg | tail -3",
			Read:  "docs/03-rootfs.md#overlay    Documentation/filesystems/overlayfs.rst, Upper and Lower",
		})
	}
	look(dir)
}

func failOrder(t *testing.T, mounts []snapshot.Mount, who string) {
	t.Helper()
	teach.Fail(t, teach.Diagnosis{
		Exercise: "rootfs.overlay", Code: "FS-OVERLAY-1", Title: overlayTitle,
		Did:   "committed three layers that each write their place into the file who: bottom, middle, top; prepared a snapshot on the last and read who",
		Saw:   "who says " + who + "; the options are " + strings.Join(mounts[0].Options, ","),
		Want:  "who says top",
		Means: "all layers are there, in the wrong order. lowers comes nearest first, and overlayfs reads the list of lower directories from the left: which end does it take for the top?",
		Try:   "mkdir a b m; echo a >a/who; echo b >b/who; mount -t overlay x -o lowerdir=a:b m; cat m/who",
		Read:  "docs/03-rootfs.md#overlay    Documentation/filesystems/overlayfs.rst, Multiple lower layers",
	})
}

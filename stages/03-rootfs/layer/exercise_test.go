package layer_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const unpackTitle = "no layer writes outside of its root"

// TestUnpack is the test of the exercise rootfs.unpack.
func TestUnpack(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	outside := filepath.Join(p.outer, "dir")
	_, err := p.apply(t, layer.Options{}, symlink("evil", outside), file("evil/escape", "x"))
	teach.Begun(t, err)
	if now := p.outside(t); !maps.Equal(p.before, now) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.unpack", Code: "FS-UNPACK-1", Title: unpackTitle,
			Did:   "applied a layer of two entries: the link evil -> " + outside + ", then the file evil/escape; the root is " + p.root,
			Saw:   "outside of the root there is now " + extra(p.before, now),
			Want:  "nothing new outside: either an error, or the file below the root",
			Means: "the kernel followed the link from this machine's /. For the container / is its own root, and whoever makes files for it must see paths the same way. chroot would do it for one process; one flag of a newer call does it for one look-up.",
			Try:   "man 2 openat2, the RESOLVE_ flags",
			Read:  "docs/03-rootfs.md#unpack    CVE-2014-6407, CVE-2021-32760",
		})
	}
	require.Error(t, err, "below the root there is no such directory")
	linksInside(t)
}

// linksInside holds the other half: good images need their links.
func linksInside(t *testing.T) {
	t.Helper()
	p := newPlace(t)
	_, err := p.apply(t, layer.Options{}, dir("usr"), dir("usr/bin"), symlink("bin", "/usr/bin"), file("bin/sh", "x"))
	teach.Begun(t, err)
	if got := p.read(t, "usr/bin/sh"); err != nil || got != "x" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.unpack", Code: "FS-UNPACK-2", Title: unpackTitle,
			Did:   "applied a layer as every distribution has it: the directory usr/bin, the link bin -> /usr/bin, then the file bin/sh",
			Saw:   fmt.Sprintf("error: %v; usr/bin/sh: %s", err, got),
			Want:  "no error, and the file as usr/bin/sh below the root",
			Means: "links were refused altogether, or an absolute one was taken for an escape. EXDEV is how the kernel says the latter, ELOOP the former. The link is honest when / means the image's root.",
			Try:   "man 2 openat2: compare RESOLVE_BENEATH with the flag whose text speaks of chroot(2)",
			Read:  "docs/03-rootfs.md#unpack",
		})
	}
}

func extra(before, now map[string]string) string {
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if before[path] != now[path] {
			return path
		}
	}
	return "something removed"
}

const whiteoutsTitle = "an upper layer takes away what is below"

// TestWhiteouts is the test of the exercise rootfs.whiteouts.
func TestWhiteouts(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	up, low := filepath.Join(p.outer, "up"), filepath.Join(p.outer, "low")
	for d, entries := range map[string][]e{
		low: {file("gone", "old"), dir("d"), file("d/old", "old")},
		up:  {whiteout(".wh.gone"), dir("d"), file("d/new", "new"), whiteout(".wh.d")},
	} {
		require.NoError(t, os.Mkdir(d, 0o755))
		_, err := layerInto(t, d, entries)
		teach.Begun(t, err)
		require.NoError(t, err)
	}
	require.NoError(t, unix.Mount("overlay", p.root, "overlay", unix.MS_RDONLY, "lowerdir="+up+":"+low))
	defer func() { require.NoError(t, unix.Unmount(p.root, 0)) }()

	did := "stacked two layers with overlayfs: below are gone and d/old; above are .wh.gone, d/new and .wh.d"
	if got := p.read(t, "gone"); got == "old" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.whiteouts", Code: "FS-WHITEOUT-1", Title: whiteoutsTitle, Did: did,
			Saw:   "gone can still be read; in the upper directory it is: " + describe(filepath.Join(up, "gone")),
			Want:  "gone: no such file or directory",
			Means: "the upper directory says nothing about this name, so overlayfs goes on looking below. The lower layer is shared by other containers and never changes: that something is gone has to be written down above it.",
			Try:   "mount an overlay by hand, rm a file of the lower layer, and ls -l the upper directory",
			Read:  "docs/03-rootfs.md#whiteouts    Documentation/filesystems/overlayfs.rst, whiteouts and opaque directories",
		})
	}
	if got := p.read(t, "d/old"); got == "old" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.whiteouts", Code: "FS-WHITEOUT-2", Title: whiteoutsTitle, Did: did,
			Saw:   "d holds old and new; the upper d has " + opaqueness(filepath.Join(up, "d")),
			Want:  "d holds new alone",
			Means: "the layer replaced the directory, and overlayfs merges directories of the same name. Where a name cannot be taken by a whiteout because the layer has a directory there, the directory itself must say that nothing below it counts.",
			Try:   "mount an overlay by hand, rm -r a directory of the lower layer, mkdir it again, and getfattr -m - -d it in the upper directory",
			Read:  "docs/03-rootfs.md#whiteouts    image-spec, layer.md, Whiteouts",
		})
	}
	require.Equal(t, "new", p.read(t, "d/new"))
	require.Equal(t, "(no such file or directory)", p.read(t, "gone"))
}

func layerInto(t *testing.T, d string, entries []e) (layer.Result, error) {
	t.Helper()
	p := &place{root: d}
	return p.apply(t, layer.Options{Whiteouts: layer.Overlay}, entries...)
}

func describe(path string) string {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if errors.Is(err, unix.ENOENT) {
		return "nothing"
	}
	return fmt.Sprintf("mode %o, device %d:%d", st.Mode, unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
}

func opaqueness(path string) string {
	p := make([]byte, 10)
	n, err := unix.Lgetxattr(path, "trusted.overlay.opaque", p)
	if err != nil {
		return "no attribute trusted.overlay.opaque"
	}
	return fmt.Sprintf("trusted.overlay.opaque=%q", p[:n])
}

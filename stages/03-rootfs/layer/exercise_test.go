package layer_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
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

const diffTitle = "what was changed is a layer again"

// TestDiff is the test of the exercise rootfs.diff.
func TestDiff(t *testing.T) {
	needsRoot(t)
	lower, upper, again := newPlace(t), newPlace(t), newPlace(t)
	entries := []e{dir("d"), file("d/keep", "1"), file("d/gone", "1"), file("gone", "1"), file("same", "1")}
	for _, p := range []*place{lower, upper, again} {
		_, err := p.apply(t, layer.Options{}, entries...)
		require.NoError(t, err)
	}
	for _, name := range []string{"d/gone", "gone"} {
		require.NoError(t, os.Remove(filepath.Join(upper.root, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(upper.root, "d/new"), []byte("2"), 0o644))
	const did = "took a tree of d/keep, d/gone, gone and same; removed d/gone and gone, made d/new; asked for the difference"
	var p bytes.Buffer
	err := layer.Diff(t.Context(), lower.root, upper.root, &p)
	teach.Begun(t, err)
	if errors.Is(err, unix.ENOENT) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.diff", Code: "FS-DIFF-3", Title: diffTitle, Did: did,
			Saw: "error: " + err.Error(), Want: "no error",
			Means: "a name was looked for where it is not: of the names of two directories some are in both, some only in one. What is new has nothing to be held against, and what is gone cannot be looked at.",
			Try:   "comm <(ls lower) <(ls upper): three columns, three cases",
			Read:  "docs/03-rootfs.md#there-and-back",
		})
	}
	require.NoError(t, err)
	list := names(t, p.Bytes())
	_, err = layer.Apply(t.Context(), again.root, bytes.NewReader(p.Bytes()), layer.Options{})
	require.NoError(t, err)
	if again.read(t, "gone") == "1" || again.read(t, "d/gone") == "1" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.diff", Code: "FS-DIFF-1", Title: diffTitle, Did: did + ", and applied it to a copy of the first tree",
			Saw:   "the layer holds " + strings.Join(list, ", ") + "; in the copy gone is still there",
			Want:  "whiteouts .wh.gone and d/.wh.gone in the layer, and neither file in the copy",
			Means: "a tar can only say what is there. Who looks at the new tree alone sees what came and what changed, and nothing of what went: the names of the old tree have to be looked at, too.",
			Try:   "docker run an image, rm a file, docker diff: the D is what has to be found",
			Read:  "docs/03-rootfs.md#there-and-back    image-spec, layer.md, Whiteouts",
		})
	}
	require.Equal(t, []string{"5 d/", "0 d/.wh.gone", "0 d/new", "0 .wh.gone"}, sortedTail(list))
	require.Equal(t, tree(t, upper.root), tree(t, again.root))
	sameBytes(t)
}

// sortedTail puts the whiteout of the root last, wherever it came: order is looked at by sameBytes.
func sortedTail(list []string) []string {
	rank := map[string]int{"5 d/": 0, "0 d/.wh.gone": 1, "0 d/new": 2, "0 .wh.gone": 3}
	slices.SortFunc(list, func(a, b string) int { return rank[a] - rank[b] })
	return list
}

// sameBytes makes the same change twice, in another order.
func sameBytes(t *testing.T) {
	t.Helper()
	empty := newPlace(t)
	var digests []string
	for _, reverse := range []bool{false, true, false, true} {
		p := newPlace(t)
		var entries []e
		for i := range 40 {
			entries = append(entries, file(fmt.Sprintf("f%02d", i), "x"))
		}
		if reverse {
			slices.Reverse(entries)
		}
		_, err := p.apply(t, layer.Options{}, entries...)
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, layer.Diff(t.Context(), empty.root, p.root, &out))
		digests = append(digests, digest.FromBytes(out.Bytes()).String())
	}
	if len(slices.Compact(digests)) > 1 {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.diff", Code: "FS-DIFF-2", Title: diffTitle,
			Did:   "made the same 40 files four times and asked for the difference to an empty tree",
			Saw:   "layers with several digests: the entries come in another order",
			Want:  "one digest: f00, f01, f02, ...",
			Means: "neither a directory nor a map has an order of its own. A layer is named by the hash of its bytes: with the entries in any order the same change is another layer each time, nothing is shared, and nobody can build an image again and compare.",
			Try:   "ls -U in a large directory on two file systems",
			Read:  "docs/03-rootfs.md#there-and-back",
		})
	}
}

package layer_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Each test here is named by what went wrong once, in somebody's engine, when it unpacked a stranger's archive.

// confined applies the entries, and on top of them again, in both forms; nothing outside may change.
func confined(t *testing.T, want error, entries ...e) {
	t.Helper()
	needsRoot(t)
	for _, w := range []layer.Whiteouts{layer.Remove, layer.Overlay} {
		p := newPlace(t)
		_, err := p.apply(t, layer.Options{Whiteouts: w}, entries...)
		if want == nil {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, want)
		}
		_, _ = p.apply(t, layer.Options{Whiteouts: w}, entries...)
		require.Equal(t, p.before, p.outside(t))
	}
}

// A link to outside, then a file through it (Docker).
func TestCVE_2014_6407(t *testing.T) {
	confined(t, unix.ENOENT, symlink("l", "../dir"), file("l/escape", "x"))
	confined(t, unix.ENOENT, symlink("l", "/dir"), file("l/escape", "x"))
	confined(t, nil, dir("dir"), symlink("l", "../../dir"), file("l/escape", "x"))
}

// Names with dots (Docker).
func TestCVE_2014_9356(t *testing.T) {
	for _, name := range []string{"../escape", "a/../../escape", "/../escape", "./../escape", "a/b/../../../escape"} {
		confined(t, layer.ErrEscape, file(name, "x"))
	}
}

// A layer that is nothing but the promise of bytes (Docker): what it may cost is said before, and held to.
func TestCVE_2017_14992(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	require.NoError(t, err)
	tw := tar.NewWriter(w)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "bomb", Typeflag: tar.TypeReg, Size: 1 << 30, Mode: 0o644}))
	for range 64 { // and then nothing: it need not be whole to hurt
		_, err := tw.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.Less(t, z.Len(), 64<<10)
	r, err := layer.Decompress(&z)
	require.NoError(t, err)
	defer r.Close()
	_, err = layer.Apply(t.Context(), p.root, r, layer.Options{Limits: layer.Limits{Bytes: 1 << 20}})
	require.ErrorIs(t, err, layer.ErrLimit)
	require.Equal(t, "(no such file or directory)", p.read(t, "bomb"), "refused before the first byte")
}

// The mode and owner of a host's file changed through a link (containerd).
func TestCVE_2021_32760(t *testing.T) {
	evil := e{Name: "l", Typeflag: tar.TypeReg, Mode: 0o4777, Uid: 1, Gid: 1}
	confined(t, nil, symlink("l", "../secret"), evil)
	confined(t, nil, symlink("l", "../dir"), e{Name: "l", Typeflag: tar.TypeDir, Mode: 0o777, Uid: 1})
	confined(t, nil, symlink("l", "../secret"), hardlink("h", "l"), e{Name: "h", Typeflag: tar.TypeSymlink, Linkname: "x", Uid: 1})
}

// An id that wraps around to root (containerd).
func TestCVE_2024_40635(t *testing.T) {
	for _, id := range []int{1 << 32, 1<<32 - 1, 1<<32 + 1000, -1} {
		confined(t, layer.ErrEntry, e{Name: "f", Typeflag: tar.TypeReg, Uid: id})
		confined(t, layer.ErrEntry, e{Name: "f", Typeflag: tar.TypeSymlink, Linkname: "x", Gid: id})
	}
}

// The tree changes while it is unpacked into (containerd 2.1.0): somebody exchanges a directory and a link to outside as fast
// as they can.
func TestCVE_2025_47290(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	_, err := p.apply(t, layer.Options{}, dir("d"), symlink("evil", "../dir"))
	require.NoError(t, err)
	var stop atomic.Bool
	swapped := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(p.root, "d"), unix.AT_FDCWD, filepath.Join(p.root, "evil"), unix.RENAME_EXCHANGE)
		}
		swapped <- n
	}()
	for i := range 300 {
		_, _ = p.apply(t, layer.Options{}, file(fmt.Sprintf("d/escape%d", i), "x"), dir("d/sub"), file("d/sub/f", "x"), whiteout("d/.wh.escape0"), hardlink("d/h", "d/sub/f"))
	}
	stop.Store(true)
	require.Greater(t, <-swapped, 100, "the attacker was there")
	require.Equal(t, p.before, p.outside(t))
}

// A header that says that a file is eight exabytes of holes (Go's archive/tar, and each who believes it).
func TestCVE_2025_58183(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	_, err := layer.Apply(t.Context(), p.root, bytes.NewReader(sparseBomb(1<<60)), layer.Options{})
	require.ErrorIs(t, err, layer.ErrLimit)
	_, err = layer.Apply(t.Context(), newPlace(t).root, bytes.NewReader(sparseBomb(1<<20)), layer.Options{})
	require.NoError(t, err, "an honest one is made")
	many := bytes.Repeat([]byte("0\n0\n"), 1<<20)
	_, err = layer.Apply(t.Context(), p.root, bytes.NewReader(many), layer.Options{})
	require.Error(t, err)
}

// sparseBomb is one file of nothing but a hole (GNU tar manual, "Sparse Formats", PAX 1.0).
func sparseBomb(size int64) []byte {
	records := map[string]string{
		"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": fmt.Sprint(size),
	}
	var pax strings.Builder
	for k, v := range records {
		record := fmt.Sprintf(" %s=%s\n", k, v)
		n := len(record)
		n += len(fmt.Sprint(n + 2))
		fmt.Fprintf(&pax, "%d%s", n, record)
	}
	body := make([]byte, 512)
	copy(body, "0\n")
	return append(append(rawEntry('x', "pax", []byte(pax.String())), rawEntry('0', "GNUSparseFile.0/hole", body)...), make([]byte, 1024)...)
}

// rawEntry is a ustar header and its body, as no well-behaved writer makes it.
func rawEntry(kind byte, name string, body []byte) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00        ", len(body)))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(append(h, body...), make([]byte, (512-len(body)%512)%512)...)
}

// Hard links that lead out, by dots, through links and by being links themselves (go-archive).
func TestCVE_2026_17106(t *testing.T) {
	confined(t, layer.ErrEscape, hardlink("h", "../secret"))
	confined(t, unix.ENOENT, hardlink("h", "/etc/passwd"))
	confined(t, unix.ENOENT, symlink("l", "../.."), hardlink("h", "l/secret"), file("h", "x"))
	confined(t, nil, symlink("l", "../secret"), hardlink("h", "l"), e{Name: "h", Typeflag: tar.TypeReg, Mode: 0o777, Uname: "x"})
}

// A program of the image's is run to decompress (Docker): nothing is run, and what we cannot do ourselves is refused.
func TestCVE_2026_41567(t *testing.T) {
	bin, canary := t.TempDir(), filepath.Join(t.TempDir(), "canary")
	for _, name := range []string{"unpigz", "pigz", "gzip", "igzip", "xz", "unxz", "bzip2", "zstd"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\ntouch "+canary+"\n"), 0o755))
	}
	t.Setenv("PATH", bin)
	for _, magic := range []string{"\x1f\x8b\x08\x00", "\xfd7zXZ\x00", "BZh9", "\x28\xb5\x2f\xfd"} {
		r, err := layer.Decompress(strings.NewReader(magic))
		if err == nil {
			_, err = io.ReadAll(r)
			require.NoError(t, r.Close())
		}
		require.Error(t, err, "%q", magic)
	}
	require.NoFileExists(t, canary)
}

// What is for overlayfs alone cannot be said by a layer: a redirection would show what lies elsewhere (found in review).
func TestOverlaysOwnAttributesAreNotTaken(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	evil := map[string]string{}
	for _, name := range []string{"trusted.overlay.redirect", "trusted.overlay.opaque", "trusted.overlay.metacopy", "user.overlay.redirect"} {
		evil["SCHILY.xattr."+name] = "/etc"
	}
	_, err := p.apply(t, layer.Options{Whiteouts: layer.Overlay}, e{Name: "d", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: evil})
	require.NoError(t, err)
	list := make([]byte, 1<<10)
	n, err := unix.Llistxattr(filepath.Join(p.root, "d"), list)
	require.NoError(t, err)
	require.NotContains(t, string(list[:n]), "overlay")
}

// zstd:chunked has frames of notes between and behind the data, and eStargz is gzip in many members: both are read as what they are.
func TestChunkedFormats(t *testing.T) {
	frame := func(text string) []byte {
		w, err := zstd.NewWriter(nil)
		require.NoError(t, err)
		return w.EncodeAll([]byte(text), nil)
	}
	note := func(n int) []byte {
		p := binary.LittleEndian.AppendUint32(nil, 0x184d2a50)
		return append(binary.LittleEndian.AppendUint32(p, uint32(n)), make([]byte, n)...)
	}
	for name, parts := range map[string][][]byte{
		"notes behind": {frame("one"), frame("two"), note(100)}, "notes between": {frame("one"), note(0), frame("two")}, "notes first": {note(7), frame("one"), frame("two")},
	} {
		r, err := layer.Decompress(bytes.NewReader(bytes.Join(parts, nil)))
		require.NoError(t, err, name)
		got, err := io.ReadAll(r)
		require.NoError(t, err, name)
		require.Equal(t, "onetwo", string(got), name)
		require.NoError(t, r.Close())
	}
}

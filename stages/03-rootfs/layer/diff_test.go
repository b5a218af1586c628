package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// names lists the entries of a tar.
func names(t *testing.T, p []byte) []string {
	t.Helper()
	var all []string
	r := tar.NewReader(bytes.NewReader(p))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, string(h.Typeflag)+" "+h.Name)
	}
}

var diffLower = []e{
	dir("keep"), file("keep/same", "1"), file("keep/changed", "1"), dir("gone"), file("gone/x", "1"), file("file", "1"),
	dir("dir"), file("dir/x", "1"), symlink("link", "a"), dir("deep"), dir("deep/er"), file("deep/er/f", "1"), file("mode", "1"),
}

// change does to a tree what the tests expect to see.
func change(t *testing.T, d string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(d, name) }
	require.NoError(t, os.WriteFile(at("keep/changed"), []byte("2"), 0o644))
	require.NoError(t, os.RemoveAll(at("gone")))
	require.NoError(t, os.Remove(at("file")))
	require.NoError(t, os.Mkdir(at("file"), 0o755))
	require.NoError(t, os.WriteFile(at("file/now-in-a-directory"), []byte("2"), 0o644))
	require.NoError(t, os.RemoveAll(at("dir")))
	require.NoError(t, os.WriteFile(at("dir"), []byte("now a file"), 0o644))
	require.NoError(t, os.Remove(at("link")))
	require.NoError(t, os.Symlink("b", at("link")))
	require.NoError(t, os.WriteFile(at("deep/er/f"), []byte("2"), 0o644))
	require.NoError(t, os.Chmod(at("mode"), 0o4755))
	require.NoError(t, os.WriteFile(at("one"), []byte("linked"), 0o600))
	require.NoError(t, os.Link(at("one"), at("two")))
	require.NoError(t, unix.Setxattr(at("one"), "user.note", []byte("n"), 0))
	require.NoError(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
}

// tree describes a whole tree.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	p := &place{outer: root, root: "none"}
	for k, v := range p.outside(t) {
		all[strings.TrimPrefix(k, root)] = v
	}
	delete(all, "")
	return all
}

func TestDiffThenApplyGivesTheSameTree(t *testing.T) {
	needsRoot(t)
	lower, upper, again := newPlace(t), newPlace(t), newPlace(t)
	for _, p := range []*place{lower, upper, again} {
		_, err := p.apply(t, layer.Options{}, diffLower...)
		require.NoError(t, err)
	}
	change(t, upper.root)
	var p bytes.Buffer
	require.NoError(t, layer.Diff(t.Context(), lower.root, upper.root, &p))
	require.NotContains(t, names(t, p.Bytes()), "0 keep/same")
	_, err := layer.Apply(t.Context(), again.root, &p, layer.Options{})
	require.NoError(t, err)
	require.Equal(t, tree(t, upper.root), tree(t, again.root))
	require.Equal(t, again.stat(t, "one").Ino, again.stat(t, "two").Ino)

	p.Reset()
	require.NoError(t, layer.Diff(t.Context(), upper.root, upper.root, &p))
	require.Empty(t, names(t, p.Bytes()), "nothing differs from itself")
}

func TestDiffUpperOfARealOverlay(t *testing.T) {
	needsRoot(t)
	lower, merged, again := newPlace(t), newPlace(t), newPlace(t)
	for _, p := range []*place{lower, again} {
		_, err := p.apply(t, layer.Options{}, diffLower...)
		require.NoError(t, err)
	}
	up, work := filepath.Join(merged.outer, "up"), filepath.Join(merged.outer, "work")
	require.NoError(t, os.Mkdir(up, 0o755))
	require.NoError(t, os.Mkdir(work, 0o755))
	require.NoError(t, unix.Mount("overlay", merged.root, "overlay", 0, "lowerdir="+lower.root+",upperdir="+up+",workdir="+work))
	defer func() { require.NoError(t, unix.Unmount(merged.root, 0)) }()
	change(t, merged.root)
	require.NoError(t, os.RemoveAll(filepath.Join(merged.root, "deep")))
	require.NoError(t, os.Mkdir(filepath.Join(merged.root, "deep"), 0o700)) // opaque now

	var p bytes.Buffer
	require.NoError(t, layer.DiffUpper(t.Context(), up, &p))
	list := names(t, p.Bytes())
	require.Contains(t, list, "0 .wh.gone")
	require.Contains(t, list, "0 deep/.wh..wh..opq")
	_, err := layer.Apply(t.Context(), again.root, &p, layer.Options{})
	require.NoError(t, err)
	require.Equal(t, tree(t, merged.root), tree(t, again.root))
}

func TestDiffWritesParentsAndComparesContent(t *testing.T) {
	needsRoot(t)
	lower, upper := newPlace(t), newPlace(t)
	for _, p := range []*place{lower, upper} {
		_, err := p.apply(t, layer.Options{}, diffLower...) // times of whole seconds
		require.NoError(t, err)
	}
	path := filepath.Join(upper.root, "deep/er/f")
	require.NoError(t, os.WriteFile(path, []byte("2"), 0o644)) // same size
	require.NoError(t, os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)))
	require.NoError(t, os.Chtimes(filepath.Join(lower.root, "deep/er/f"), time.Unix(0, 0), time.Unix(0, 0)))
	var p bytes.Buffer
	require.NoError(t, layer.Diff(t.Context(), lower.root, upper.root, &p))
	require.Equal(t, []string{"5 deep/", "5 deep/er/", "0 deep/er/f"}, names(t, p.Bytes()))
}

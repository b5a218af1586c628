package layer_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { shield.Main(m) }

func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners, devices, trusted attributes")
	}
}

// e makes an entry; what is not given is that of an ordinary file.
type e = tar.Header

func dir(name string) e          { return e{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
func file(name, body string) e   { return e{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Uname: body} } // the body rides in Uname
func symlink(name, to string) e  { return e{Name: name, Typeflag: tar.TypeSymlink, Linkname: to} }
func hardlink(name, to string) e { return e{Name: name, Typeflag: tar.TypeLink, Linkname: to} }
func whiteout(name string) e     { return file(name, "") }
func device(name string, n int64) e {
	return e{Name: name, Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: n}
}

func archive(entries ...e) []byte {
	var p bytes.Buffer
	w := tar.NewWriter(&p)
	for _, h := range entries {
		body := h.Uname
		h.Uname, h.Size, h.Format = "", int64(len(body)), tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return p.Bytes()
}

// place is a root directory with something beside it that nothing may touch.
type place struct {
	outer, root string
	before      map[string]string
}

func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{outer: t.TempDir()}
	p.root = filepath.Join(p.outer, "root")
	require.NoError(t, os.Mkdir(p.root, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(p.outer, "dir"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(p.outer, "secret"), []byte("secret"), 0o600))
	p.before = p.outside(t)
	return p
}

// outside describes all that is beside the root: names, modes, owners, number of names, contents.
func (p *place) outside(t testing.TB) map[string]string {
	t.Helper()
	seen := map[string]string{}
	require.NoError(t, filepath.WalkDir(p.outer, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == p.root {
			return fs.SkipDir
		}
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(path, &st))
		text := ""
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			text = string(b)
		}
		nlink := uint64(st.Nlink)
		if d.IsDir() {
			nlink = 0
		}
		seen[path] = strings.Join([]string{d.Type().String(), text, string(rune('0' + nlink)), d.Name(), modeOf(st)}, "|")
		return nil
	}))
	return seen
}

func modeOf(st unix.Stat_t) string {
	return string([]rune{rune(st.Mode&0o7777) + 0x100, rune(st.Uid) + 0x100, rune(st.Gid) + 0x100})
}

func (p *place) apply(t testing.TB, o layer.Options, entries ...e) (layer.Result, error) {
	t.Helper()
	return layer.Apply(t.Context(), p.root, bytes.NewReader(archive(entries...)), o)
}

func (p *place) read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.root, name))
	if err != nil {
		return "(" + unixText(err) + ")"
	}
	return string(b)
}

func unixText(err error) string {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func (p *place) stat(t testing.TB, name string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(filepath.Join(p.root, name), &st))
	return st
}

// hostile are archives that try to get out, by how they must end: nil means that they are confined, as the big engines do it.
func hostile() map[string]struct {
	want    error
	entries []e
} {
	return map[string]struct {
		want    error
		entries []e
	}{
		"name with dots (CVE-2014-9356)":                  {layer.ErrEscape, []e{file("../escape", "x")}},
		"name with dots in the middle":                    {layer.ErrEscape, []e{file("a/../../escape", "x")}},
		"absolute name with dots":                         {layer.ErrEscape, []e{file("/../escape", "x")}},
		"absolute name":                                   {nil, []e{file("/escape", "x")}},
		"absolute link, then through it (CVE-2021-32760)": {unix.ENOENT, []e{symlink("l", "/secretdir"), file("l/escape", "x")}},
		"link to outside, then through it":                {unix.ENOENT, []e{symlink("l", "../dir"), file("l/escape", "x")}},
		"link upwards, confined":                          {nil, []e{dir("dir"), symlink("l", "../../../dir"), file("l/escape", "x")}},
		"link chain, confined":                            {nil, []e{dir("a"), symlink("a/l", "/b"), symlink("b", ".."), file("a/l/escape", "x")}},
		"link, then a file in its place":                  {nil, []e{symlink("secret", "../secret"), file("secret", "x")}},
		"link, then a directory in its place":             {nil, []e{symlink("d", "../dir"), dir("d"), file("d/escape", "x")}},
		"link that loops":                                 {unix.ELOOP, []e{symlink("l", "l"), file("l/escape", "x")}},
		"link into proc":                                  {unix.ENOENT, []e{symlink("l", "/proc/self/cwd"), file("l/escape", "x")}},
		"hard link with dots (CVE-2026-17106)":            {layer.ErrEscape, []e{hardlink("h", "../secret")}},
		"hard link to an absolute path":                   {unix.ENOENT, []e{hardlink("h", "/etc/passwd")}},
		"hard link through a link":                        {unix.ENOENT, []e{symlink("l", "../.."), hardlink("h", "l/secret")}},
		"hard link to a link, then written":               {nil, []e{symlink("l", "../secret"), hardlink("h", "l"), file("h", "x")}},
		"hard link to the root":                           {layer.ErrEntry, []e{dir("a"), hardlink("a/h", "/")}},
		"hard link to itself":                             {nil, []e{file("f", "x"), hardlink("f", "f")}},
		"hard link to nothing":                            {unix.ENOENT, []e{hardlink("h", "nothing")}},
		"root as a link":                                  {layer.ErrEntry, []e{symlink("./", "../dir"), file("escape", "x")}},
		"root as a file":                                  {layer.ErrEntry, []e{file(".", "x")}},
		"whiteout of the root's parent":                   {layer.ErrEntry, []e{whiteout(".wh...")}},
		"whiteout of the root":                            {layer.ErrEntry, []e{dir("a"), whiteout("a/.wh..")}},
		"whiteout of nothing":                             {layer.ErrEntry, []e{whiteout(".wh.")}},
		"whiteout through a link, confined":               {nil, []e{symlink("l", "../.."), whiteout("l/x/.wh.secret")}},
		"opaque through a link, confined":                 {nil, []e{symlink("l", ".."), whiteout("l/.wh..wh..opq")}},
		"file as a directory":                             {unix.ENOTDIR, []e{file("f", "x"), file("f/escape", "x")}},
		"owner that wraps to root":                        {layer.ErrEntry, []e{{Name: "f", Typeflag: tar.TypeReg, Uid: 1 << 32}}},
		"owner that means nobody":                         {layer.ErrEntry, []e{{Name: "f", Typeflag: tar.TypeReg, Uid: 1<<32 - 1}}},
		"overlay's own attribute is dropped":              {nil, []e{{Name: "d", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/etc"}}}},
		"name of a component too long":                    {unix.ENAMETOOLONG, []e{file(strings.Repeat("n", 256), "x")}},
		"path too long":                                   {layer.ErrLimit, []e{file(strings.Repeat("n/", 2100)+"f", "x")}},
		"link target too long":                            {layer.ErrLimit, []e{symlink("l", strings.Repeat("n/", 2100))}},
		"device":                                          {nil, []e{device("null", 3)}},
	}
}

func TestHostileArchives(t *testing.T) {
	needsRoot(t)
	for name, tt := range hostile() {
		for kind, w := range map[string]layer.Whiteouts{"remove": layer.Remove, "overlay": layer.Overlay} {
			t.Run(name+" "+kind, func(t *testing.T) {
				p := newPlace(t)
				_, err := p.apply(t, layer.Options{Whiteouts: w}, tt.entries...)
				if tt.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tt.want)
					require.Contains(t, err.Error(), "layer entry", "the error names the entry")
				}
				require.Equal(t, p.before, p.outside(t), "nothing outside of the root may change")
			})
		}
	}
}

// A root that is not empty is entered by the next layer: what the first left there is hostile too.
func TestHostileLowerLayer(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	_, err := p.apply(t, layer.Options{}, symlink("etc", "../dir"), symlink("passwd", "../secret"), symlink("up", ".."))
	require.NoError(t, err)
	_, err = p.apply(t, layer.Options{}, whiteout("up/.wh..wh..opq"), file("passwd", "x"), whiteout(".wh.etc"))
	require.NoError(t, err)
	require.Equal(t, p.before, p.outside(t))
	require.Equal(t, "x", p.read(t, "passwd"))
}

func TestLimits(t *testing.T) {
	needsRoot(t)
	tests := map[string]struct {
		limits layer.Limits
		entry  e
	}{
		"bytes":   {layer.Limits{Bytes: 10}, file("f", "12345678901")},
		"entries": {layer.Limits{Entries: 1}, file("f", "")},
		"name":    {layer.Limits{NameLen: 5}, file("123456", "")},
		"xattr":   {layer.Limits{Xattr: 5}, e{Name: "f", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "123456"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newPlace(t).apply(t, layer.Options{Limits: tt.limits}, dir("d"), tt.entry)
			require.ErrorIs(t, err, layer.ErrLimit)
		})
	}
}

func TestAttributes(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	when := time.Date(2001, 2, 3, 4, 5, 6, 789000000, time.UTC)
	full := func(name string, typ byte, mode int64) e {
		return e{
			Name: name, Typeflag: typ, Mode: mode, Uid: 1000, Gid: 100000, ModTime: when, Linkname: "target", Devmajor: 7, Devminor: 300,
			PAXRecords: map[string]string{"SCHILY.xattr.trusted.note": "n\x01\xff"},
		}
	}
	_, err := p.apply(t, layer.Options{},
		full("d/", tar.TypeDir, 0o1751), full("f", tar.TypeReg, 0o6755), full("s", tar.TypeSymlink, 0o777),
		full("c", tar.TypeChar, 0o620), full("b", tar.TypeBlock, 0o660), full("p", tar.TypeFifo, 0o640),
		file("d/later", "changes the time of d"), hardlink("h", "f"), file("cap", "x"),
	)
	require.NoError(t, err)
	for name, mode := range map[string]uint32{
		"d": unix.S_IFDIR | 0o1751, "f": unix.S_IFREG | 0o6755, "s": unix.S_IFLNK | 0o777, "c": unix.S_IFCHR | 0o620,
		"b": unix.S_IFBLK | 0o660, "p": unix.S_IFIFO | 0o640, "h": unix.S_IFREG | 0o6755,
	} {
		st := p.stat(t, name)
		require.Equal(t, [3]uint32{mode, 1000, 100000}, [3]uint32{st.Mode, st.Uid, st.Gid}, name)
		require.Equal(t, when.UnixNano(), st.Mtim.Nano(), name)
		v := make([]byte, 10)
		n, err := unix.Lgetxattr(filepath.Join(p.root, name), "trusted.note", v)
		require.NoError(t, err, name)
		require.Equal(t, "n\x01\xff", string(v[:n]), name)
	}
	require.Equal(t, unix.Mkdev(7, 300), uint64(p.stat(t, "b").Rdev))
	require.Equal(t, p.stat(t, "f").Ino, p.stat(t, "h").Ino)
}

func TestReplacing(t *testing.T) {
	needsRoot(t)
	p := newPlace(t)
	_, err := p.apply(t, layer.Options{}, dir("d"), file("d/keep", "1"), dir("tree"), file("tree/a/b", "1"), file("f", "1"), symlink("l", "d"))
	require.NoError(t, err)
	_, err = p.apply(t, layer.Options{}, dir("d"), file("tree", "now a file"), dir("f"), file("l", "now a file"), file("l2/made", "2"))
	require.NoError(t, err)
	require.Equal(t, []string{"1", "now a file", "now a file", "2"}, []string{p.read(t, "d/keep"), p.read(t, "tree"), p.read(t, "l"), p.read(t, "l2/made")})
	require.Equal(t, uint32(unix.S_IFDIR|0o755), p.stat(t, "f").Mode)
}

func TestSparse(t *testing.T) {
	needsRoot(t)
	for _, format := range []string{"gnu", "pax"} {
		t.Run(format, func(t *testing.T) {
			from, p := t.TempDir(), newPlace(t)
			f, err := os.Create(filepath.Join(from, "f"))
			require.NoError(t, err)
			_, err = f.WriteString("head")
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("tail"), 8<<20)
			require.NoError(t, err)
			require.NoError(t, f.Truncate(16<<20))
			require.NoError(t, f.Close())
			out, err := exec.Command("tar", "--sparse", "--format="+format, "-C", from, "-cf", "-", "f").Output()
			if err != nil {
				t.Skip("needs GNU tar:", err)
			}
			require.Less(t, len(out), 1<<20, "tar left the holes out")
			_, err = layer.Apply(t.Context(), p.root, bytes.NewReader(out), layer.Options{})
			require.NoError(t, err)
			st := p.stat(t, "f")
			require.Equal(t, int64(16<<20), st.Size)
			require.LessOrEqual(t, st.Blocks*512, int64(1<<20), "the holes take no blocks")
			got := p.read(t, "f")
			require.Equal(t, [2]string{"head", "tail"}, [2]string{got[:4], got[8<<20 : 8<<20+4]})
		})
	}
}

func TestOrderOfWhiteoutsDoesNotMatter(t *testing.T) {
	needsRoot(t)
	lower := []e{dir("d"), file("d/old", "old"), file("f", "old")}
	uppers := map[string][]e{
		"whiteout first": {whiteout(".wh.d"), whiteout(".wh.f"), dir("d"), file("d/new", "new"), file("f", "new")},
		"whiteout last":  {dir("d"), file("d/new", "new"), file("f", "new"), whiteout(".wh.f"), whiteout(".wh.d")},
		"opaque last":    {dir("d"), file("d/new", "new"), file("f", "new"), whiteout("d/.wh..wh..opq")},
	}
	for name, upper := range uppers {
		t.Run(name, func(t *testing.T) {
			plain := newPlace(t)
			for _, l := range [][]e{lower, upper} {
				_, err := plain.apply(t, layer.Options{}, l...)
				require.NoError(t, err)
			}
			stacked := overlaid(t, lower, upper)
			for kind, p := range map[string]*place{"plain": plain, "overlay": stacked} {
				require.Equal(t, []string{"(no such file or directory)", "new", "new"}, []string{p.read(t, "d/old"), p.read(t, "d/new"), p.read(t, "f")}, kind)
			}
		})
	}
}

// overlaid applies each layer to a directory of its own and shows them through overlayfs.
func overlaid(t testing.TB, layers ...[]e) *place {
	t.Helper()
	p := newPlace(t)
	var lowers []string
	for i, l := range layers {
		d := filepath.Join(p.outer, "layer"+string(rune('0'+i)))
		require.NoError(t, os.Mkdir(d, 0o755))
		_, err := layer.Apply(t.Context(), d, bytes.NewReader(archive(l...)), layer.Options{Whiteouts: layer.Overlay, Lowers: lowers})
		require.NoError(t, err)
		lowers = append([]string{d}, lowers...)
	}
	require.NoError(t, unix.Mount("overlay", p.root, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(lowers, ":")))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(p.root, 0)) })
	return p
}

// A directory that the layer does not hold but needs keeps its attributes.
func TestInherit(t *testing.T) {
	needsRoot(t)
	lower := []e{
		{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 5, Gid: 6, PAXRecords: map[string]string{"SCHILY.xattr.trusted.note": "x"}},
		file("other", "x"), dir("gone"), file("gone/f", "x"),
	}
	p := overlaid(t, lower, []e{file("tmp/f", "1"), file("none/f", "1")})
	st := p.stat(t, "tmp")
	require.Equal(t, [3]uint32{unix.S_IFDIR | 0o1777, 5, 6}, [3]uint32{st.Mode, st.Uid, st.Gid})
	require.Equal(t, uint32(unix.S_IFDIR|0o755), p.stat(t, "none").Mode)

	// The same when the layers below are known only later, and the whole is opaque.
	a, b := newPlace(t), newPlace(t)
	_, err := a.apply(t, layer.Options{}, lower...)
	require.NoError(t, err)
	r, err := b.apply(t, layer.Options{Whiteouts: layer.Overlay}, file("tmp/f", "1"), whiteout(".wh..wh..opq"))
	require.NoError(t, err)
	require.Equal(t, layer.Result{Size: 1, Entries: 2, Implicit: []string{"tmp", "."}, OpaqueRoot: true}, r)
	require.NoError(t, layer.Inherit(b.root, []string{a.root}, r))
	require.Equal(t, uint32(unix.S_IFDIR|0o1777), b.stat(t, "tmp").Mode)
	require.Equal(t, uint32(unix.S_IFCHR), b.stat(t, "other").Mode&unix.S_IFMT, "hidden by a whiteout")
}

func TestDecompress(t *testing.T) {
	for name, magic := range map[string]string{"xz": "\xfd7zXZ\x00", "bzip2": "BZh9"} {
		_, err := layer.Decompress(strings.NewReader(magic))
		require.ErrorIs(t, err, layer.ErrFormat, name)
	}
	for _, text := range []string{"", "x", "plain tar"} {
		r, err := layer.Decompress(strings.NewReader(text))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
}

func TestReadAhead(t *testing.T) {
	text := strings.Repeat("0123456789", 300_000)
	r := layer.ReadAhead(io.MultiReader(strings.NewReader(text), failing{}))
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, unix.EIO)
	require.Equal(t, text, string(got))
	require.NoError(t, r.Close())
	r = layer.ReadAhead(zeros{})
	_, err = io.ReadFull(r, make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, r.Close(), "closing early waits for the goroutine and does not hang")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, unix.EIO }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Whatever the bytes are: nothing outside changes, and a second layer on top changes nothing outside either.
func FuzzApply(f *testing.F) {
	needsRoot(f)
	for _, tt := range hostile() {
		f.Add(archive(tt.entries...), false)
		f.Add(archive(tt.entries...), true)
	}
	f.Fuzz(func(t *testing.T, p []byte, overlay bool) {
		o := layer.Options{Limits: layer.Limits{Bytes: 1 << 20, Entries: 1000}}
		if overlay {
			o.Whiteouts = layer.Overlay
		}
		place := newPlace(t)
		_, _ = layer.Apply(t.Context(), place.root, bytes.NewReader(p), o)
		_, _ = layer.Apply(t.Context(), place.root, bytes.NewReader(p), o)
		require.Equal(t, place.before, place.outside(t))
	})
}

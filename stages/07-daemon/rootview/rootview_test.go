package rootview

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func aRoot(t *testing.T) (*Root, string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("app:x:7:8::/home/app:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/group"), []byte("app:x:8:\nextra:x:9:app\n"), 0o644))
	r, err := OfMounts([]*types.Mount{{Type: "bind", Source: dir}}, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r, dir
}

func TestUser(t *testing.T) {
	r, _ := aRoot(t)
	u, err := r.User("app", []string{"100"})
	require.NoError(t, err)
	require.Equal(t, []int{7, 8}, []int{u.Uid, u.Gid})
	require.ElementsMatch(t, []int{9, 100}, u.Sgids)
	require.Equal(t, "/home/app", u.Home)
	_, err = r.User("nobody-here", nil)
	require.Error(t, err)
}

// What a container put there leads nowhere but into the container.
func TestHostilePaths(t *testing.T) {
	r, dir := aRoot(t)
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "way-out")))
	require.NoError(t, os.Symlink("../../../../../../../../"+outside, filepath.Join(dir, "relative")))
	for _, name := range []string{"way-out/secret", "relative", "../../../.." + outside} {
		_, err := r.Open(name, unix.O_RDONLY)
		require.ErrorIs(t, err, unix.ENOENT, name)
	}
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "etc/fifo"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/passwd")))
	require.NoError(t, os.Symlink("fifo", filepath.Join(dir, "etc/passwd")))
	_, err := r.User("app", nil)
	require.ErrorContains(t, err, "not a regular file", "a pipe would block us for ever")
}

func archive(t *testing.T, entries ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := "content of " + h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, content)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return &b
}

func TestExtractStaysInside(t *testing.T) {
	r, dir := aRoot(t)
	outside := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "srv"), 0o755))
	require.NoError(t, r.Extract("/srv", archive(t,
		tar.Header{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o750},
		tar.Header{Name: "a/f", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 12, Gid: 13},
		tar.Header{Name: "../../../up", Typeflag: tar.TypeReg, Mode: 0o600},
	), ExtractOptions{}))
	require.FileExists(t, filepath.Join(dir, "srv/up"))
	info, err := os.Stat(filepath.Join(dir, "srv/a/f"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	err = r.Extract("/", archive(t, tar.Header{Name: "link/evil", Typeflag: tar.TypeReg, Mode: 0o600}), ExtractOptions{})
	require.Error(t, err, "the link's target does not exist inside")
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, entries)
	err = r.Extract("/", archive(t, tar.Header{Name: "srv", Typeflag: tar.TypeReg, Mode: 0o600}), ExtractOptions{NoOverwrite: true})
	require.ErrorContains(t, err, "cannot overwrite a directory with a file")
}

func TestWriteTarAndStat(t *testing.T) {
	r, _ := aRoot(t)
	st, err := r.Stat("/etc/passwd")
	require.NoError(t, err)
	require.Equal(t, "passwd", st.Name)
	require.EqualValues(t, 29, st.Size)
	for ask, want := range map[string]string{
		"/etc": "etc/ etc/group etc/passwd", "/etc/.": "./ ./group ./passwd", "/etc/passwd": "passwd",
	} {
		var b bytes.Buffer
		require.NoError(t, r.WriteTar(&b, ask))
		var names []string
		for tr := tar.NewReader(&b); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			names = append(names, h.Name)
		}
		require.ElementsMatch(t, strings.Fields(want), names, ask)
	}
}

func TestCopyInto(t *testing.T) {
	r, dir := aRoot(t)
	require.NoError(t, os.Symlink("passwd", filepath.Join(dir, "etc/link")))
	to := t.TempDir()
	require.NoError(t, r.CopyInto("/etc", to))
	data, err := os.ReadFile(filepath.Join(to, "link"))
	require.NoError(t, err)
	require.Contains(t, string(data), "app:x:7")
	require.NoError(t, r.CopyInto("/nowhere", to))
}

// A snapshot is looked into without a trace in anybody's mount table.
func TestOverlayLeavesNoMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base := t.TempDir()
	for _, d := range []string{"lower", "upper", "work", "at"} {
		require.NoError(t, os.Mkdir(filepath.Join(base, d), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(base, "lower/f"), []byte("below"), 0o600))
	r, err := OfMounts([]*types.Mount{{Type: "overlay", Source: "overlay", Options: []string{
		"lowerdir=" + base + "/lower", "upperdir=" + base + "/upper", "workdir=" + base + "/work",
	}}}, base+"/at")
	require.NoError(t, err)
	f, err := r.Open("f", unix.O_RDONLY)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "below", string(data))
	require.NoError(t, f.Close())
	require.Eventually(t, func() bool { // no thread of ours has it: not even the first, which cannot end
		tables, err := filepath.Glob("/proc/self/task/*/mountinfo")
		require.NoError(t, err)
		for _, table := range tables {
			if mounts, err := os.ReadFile(table); err == nil && strings.Contains(string(mounts), base) {
				return false
			}
		}
		return true
	}, 2*time.Second, time.Millisecond)
	require.NoError(t, r.Close())
}

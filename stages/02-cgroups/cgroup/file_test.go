package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestBeneath: neither way of opening leaves the hierarchy, follows a link, or makes a file.
func TestBeneath(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "hierarchy")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/file"), []byte("in"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(top, "secret"), []byte("out"), 0o644))
	require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("b", filepath.Join(dir, "a/c")))
	root, err := os.Open(dir)
	require.NoError(t, err)
	defer root.Close()
	for name, open := range map[string]func(int, string, int) (int, error){"openat2": openBeneath, "walk": openWalk} {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string]error{
				"a/b/file":          nil,
				".":                 nil,
				"a/b":               nil,
				"link":              unix.ELOOP,
				"../secret":         unix.EXDEV,
				"a/../../secret":    unix.EXDEV,
				"a/b/missing":       unix.ENOENT,
				"missing/file":      unix.ENOENT,
				"a/b/file/deeper":   unix.ENOTDIR,
				dir + "/../secret":  unix.EXDEV,
				"a/b/../../../oops": unix.EXDEV,
			} {
				fd, err := open(int(root.Fd()), path, unix.O_RDONLY|unix.O_CLOEXEC)
				if err == nil {
					unix.Close(fd)
				}
				require.Equal(t, want, errOrNil(err), path)
			}
			_, err := open(int(root.Fd()), "a/c/file", unix.O_RDONLY|unix.O_CLOEXEC)
			require.Error(t, err, "a link in the middle") // ELOOP from openat2, ENOTDIR from the walk
		})
	}
}

func errOrNil(err error) error {
	if err == nil {
		return nil
	}
	return err.(unix.Errno)
}

// TestWriteNamesFileAndData: "permission denied" alone helps nobody.
func TestWriteNamesFileAndData(t *testing.T) {
	dir := t.TempDir()
	tr, err := (&tree{mount: dir, version: 1, root: "/"}).open("/.")
	require.NoError(t, err)
	err = place{tr, "."}.write("memory.max", "64")
	require.EqualError(t, err, `write "64": open `+dir+`/memory.max: no such file or directory`)
	require.NoFileExists(t, filepath.Join(dir, "memory.max"))
}

func TestReadLongFile(t *testing.T) {
	dir := t.TempDir()
	long := make([]byte, 10000)
	for i := range long {
		long[i] = 'x'
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), append(long, '\n'), 0o644))
	tr, err := (&tree{mount: dir, version: 1, root: "/"}).open("/.")
	require.NoError(t, err)
	got, err := place{tr, "."}.read("f")
	require.NoError(t, err)
	require.Equal(t, string(long), got)
}

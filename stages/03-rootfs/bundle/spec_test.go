package bundle

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestUser(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\nbroken\nwww:x:33:34::/:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nstaff:x:50:www,9\n"), 0o644))
	for text, want := range map[string]specs.User{
		"": {}, "root": {}, "www": {UID: 33, GID: 34, AdditionalGids: []uint32{50}}, "33": {UID: 33, GID: 34, AdditionalGids: []uint32{50}}, "77": {UID: 77}, "www:staff": {UID: 33, GID: 50}, "77:88": {UID: 77, GID: 88},
	} {
		got, err := User(text, root)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"nobody", "www:none", "-1", "99999999999", "4294967296", ":", "www:", "www:4294967296"} {
		_, err := User(text, root)
		require.ErrorContains(t, err, text)
	}
}

// The image's /etc/passwd is a link to the host's, or to something that does not end: it is not read.
func TestUserStaysInTheImage(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(path string) error
		want string
	}{
		"link to the host's":               {func(p string) error { return os.Symlink("../../../../../../../../etc/passwd", p) }, "too many levels"},
		"a pipe (CVE-2026-47262)":          {func(p string) error { return unix.Mkfifo(p, 0o644) }, "not a regular file"},
		"4 GB of nothing (CVE-2026-47262)": {func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, 4<<30)) }, "bytes"},
		"a line without end":               {func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o644) }, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
			require.NoError(t, tt.make(filepath.Join(root, "etc/passwd")))
			_, err := User("root", root)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// A link that is absolute means the image's own root.
func TestUserThroughALink(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr/etc"), 0o755))
	require.NoError(t, os.Symlink("/usr/etc", filepath.Join(root, "etc")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "usr/etc/passwd"), []byte("me:x:7:8:::\n"), 0o644))
	got, err := User("me", root)
	require.NoError(t, err)
	require.Equal(t, specs.User{UID: 7, GID: 8}, got)
}

// A number is never looked up as a name (CVE-2016-3697, CVE-2026-46680).
func TestUserCVE_2016_3697(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("1000:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n"), 0o644))
	got, err := User("1000", root)
	require.NoError(t, err)
	require.Equal(t, specs.User{UID: 1000}, got)
	_, err = User("4294967296", root)
	require.ErrorContains(t, err, "4294967296")
}

func TestSpec(t *testing.T) {
	spec, err := Spec(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		Config: ocispec.ImageConfig{
			Entrypoint: []string{"/bin/app"}, Cmd: []string{"-x"}, Env: []string{"A=1"}, WorkingDir: "/srv",
			Labels: map[string]string{"mine": "yes", "org.opencontainers.image.os": "mine wins"},
		},
	}, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, []string{"/bin/app", "-x"}, spec.Process.Args)
	require.Equal(t, "/srv", spec.Process.Cwd)
	require.Equal(t, "A=1", spec.Process.Env[1])
	require.Equal(t, map[string]string{
		"mine": "yes", "org.opencontainers.image.os": "mine wins", "org.opencontainers.image.architecture": "amd64",
	}, spec.Annotations)
}

// Whatever the image's files and its USER are: an id that fits, or an error.
func FuzzUser(f *testing.F) {
	for _, user := range []string{"", "root", "www:staff", "33", "0:0", "4294967296", "-1", ":", "a:"} {
		f.Add(user, "root:x:0:0::/:/bin/sh\nbroken\nwww:x:33:34::/:/bin/sh\n33:x:0:0:::\n", "root:x:0:\nstaff:x:50:www,9\n")
	}
	root := f.TempDir()
	require.NoError(f, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	f.Fuzz(func(t *testing.T, user, passwd, group string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte(group), 0o644))
		got, err := User(user, root)
		if err != nil {
			require.Zero(t, got)
			return
		}
		name, _, _ := strings.Cut(user, ":")
		if n, err := strconv.ParseUint(name, 10, 64); err == nil {
			require.Equal(t, n, uint64(got.UID), "a number is that number (CVE-2016-3697)")
		}
		require.LessOrEqual(t, got.UID, uint32(math.MaxInt32))
		require.LessOrEqual(t, got.GID, uint32(math.MaxInt32))
	})
}

package bundle

import (
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func TestUser(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\nbroken\nwww:x:33:34::/:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nstaff:x:50:www,9\n"), 0o644))
	for text, want := range map[string]specs.User{
		"": {}, "root": {}, "www": {UID: 33, GID: 34}, "33": {UID: 33, GID: 34}, "77": {UID: 77}, "www:staff": {UID: 33, GID: 50}, "77:88": {UID: 77, GID: 88},
	} {
		got, err := userOf(text, root)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"nobody", "www:none", "-1", "99999999999"} {
		_, err := userOf(text, root)
		require.ErrorContains(t, err, text)
	}
}

// The image's /etc/passwd is a link to the host's: it is not read.
func TestUserStaysInTheImage(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.Symlink("../../../../../../../../etc/passwd", filepath.Join(root, "etc/passwd")))
	_, err := userOf("root", root)
	require.ErrorContains(t, err, "escapes")
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

package layout_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	dir := t.TempDir()
	l, err := layout.Open(dir)
	require.NoError(t, err)
	all, err := l.List()
	require.NoError(t, err)
	require.Empty(t, all)

	desc := func(s string) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(s), Size: int64(len(s))}
	}
	require.NoError(t, l.Set("a", desc("1")))
	require.NoError(t, l.Set("b", desc("1")))
	require.NoError(t, l.Set("a", desc("2")))
	l, err = layout.Open(dir) // what a restart sees
	require.NoError(t, err)
	got, err := l.Get("a")
	require.NoError(t, err)
	require.Equal(t, desc("2").Digest, got.Digest)
	require.NoError(t, l.Remove("b"))
	require.ErrorIs(t, l.Remove("b"), layout.ErrNotFound)
	_, err = l.Get("b")
	require.ErrorIs(t, err, layout.ErrNotFound)
	require.FileExists(t, filepath.Join(dir, "oci-layout"))
}

func TestForeignIndexes(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":          "{",
		"malformed digest": `{"schemaVersion":2,"manifests":[{"digest":"sha256:../../etc"}]}`,
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(text), 0o600))
		_, err := layout.Read(dir)
		require.Error(t, err, name)
	}
}

// Whatever stands in somebody's index.json: what is read of it is safe to use, and can be written again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` +
		`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":2,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`))
	f.Add([]byte(`{"manifests":null}`))
	f.Add([]byte(`[]`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, p []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), p, 0o600))
		all, err := layout.Read(dir)
		if err != nil {
			return
		}
		for _, d := range all {
			require.NoError(t, d.Digest.Validate())
		}
		again, err := layout.Open(t.TempDir())
		require.NoError(t, err)
		for _, d := range all {
			require.NoError(t, again.Set(layout.Name(d), d))
			got, err := again.Get(layout.Name(d))
			require.NoError(t, err)
			require.Equal(t, d.Digest, got.Digest)
		}
	})
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/stretchr/testify/require"
)

// skopeo accepts what we push and write, in each form.
func TestSkopeoReadsOurs(t *testing.T) {
	c, host := cli{t, t.TempDir()}, serve(t)
	c.must("import", saved(t))
	c.must("push", "box:v1", host+"/box:v1")
	img, _ := c.image("box:v1")
	require.Contains(t, tool(t, "skopeo", "inspect", "--tls-verify=false", "docker://"+host+"/box:v1"), img.Manifest.Digest.String())
	dir := t.TempDir()
	for format, from := range map[string]string{"oci": ":v1", "oci-archive": ":v1", "docker-archive": ""} {
		path := filepath.Join(dir, format)
		c.must("export", "--format", format, "box:v1", path)
		require.Contains(t, tool(t, "skopeo", "inspect", format+":"+path+from), `"Layers"`)
		// Copying reads and verifies every byte.
		tool(t, "skopeo", "--insecure-policy", "copy", format+":"+path+from, "oci:"+filepath.Join(dir, "copied-"+format)+":v1")
	}
}

// And we accept what skopeo writes.
func TestSkopeosAreRead(t *testing.T) {
	c, host := cli{t, t.TempDir()}, serve(t)
	c.must("import", saved(t))
	c.must("push", "box:v1", host+"/box:v1")
	want, _ := c.image("box:v1")
	dir := t.TempDir()
	for format, to := range map[string]string{"oci": ":v1", "oci-archive": ":v1", "docker-archive": ":box:v1"} {
		path := filepath.Join(dir, format)
		tool(t, "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "docker://"+host+"/box:v1", format+":"+path+to)
		other := cli{t, t.TempDir()}
		other.must("import", path, "box:v1")
		got, _ := other.image("box:v1")
		require.Equal(t, want.DiffIDs, got.DiffIDs, format)
	}
}

// umoci unpacks and repacks our layout; we unpack and repack its image, and the next umoci finds all layers.
func TestUmociAndWeTakeTurns(t *testing.T) {
	needsRoot(t)
	c, dir := cli{t, t.TempDir()}, t.TempDir()
	c.must("import", saved(t))
	layout := filepath.Join(dir, "layout")
	c.must("export", "--format", "oci", "box:v1", layout)
	tool(t, "umoci", "unpack", "--image", layout+":v1", filepath.Join(dir, "theirs"))
	require.NoFileExists(t, filepath.Join(dir, "theirs/rootfs/gone"))
	require.Empty(t, c.must("diff", "box:v1", filepath.Join(dir, "theirs/rootfs")), "both unpack the same")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "theirs/rootfs/theirs"), []byte("x"), 0o644))
	tool(t, "umoci", "repack", "--image", layout+":v2", filepath.Join(dir, "theirs"))

	other := cli{t, t.TempDir()}
	other.must("import", filepath.Join(dir, "layout"))
	other.must("unpack", "--bundle", "box:v2", filepath.Join(dir, "ours"))
	require.FileExists(t, filepath.Join(dir, "ours/rootfs/theirs"))
	change(t, bundle.Rootfs(filepath.Join(dir, "ours")))
	other.must("repack", filepath.Join(dir, "ours"), "box:v3")
	other.must("export", "--format", "oci", "box:v3", layout)
	tool(t, "umoci", "unpack", "--image", layout+":v3", filepath.Join(dir, "again"))
	require.NoFileExists(t, filepath.Join(dir, "again/rootfs/bin/cat"))
	require.FileExists(t, filepath.Join(dir, "again/rootfs/etc/new"))
	require.Contains(t, tool(t, "umoci", "stat", "--image", layout+":v3"), "rootfs repack")
}

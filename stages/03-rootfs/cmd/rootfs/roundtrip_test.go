package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/stretchr/testify/require"
)

// serve gives the address of an empty registry.
func serve(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners, namespaces and mounts")
	}
}

// tool runs a program that Debian has.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs " + name + " (Debian: " + name + ")")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// image reads what a state holds under a name.
func (c cli) image(ref string) (img pull.Image, config ocispec.Image) {
	c.Helper()
	g := &globals{root: c.root, snapshotter: "overlay"}
	require.NoError(c, g.with(c.Context(), func(s *state) (err error) {
		if img, err = s.find(ref, nil); err != nil {
			return err
		}
		p, err := s.store.ReadAll(img.Config.Digest, 1<<20)
		if err != nil {
			return err
		}
		return json.Unmarshal(p, &config)
	}))
	return img, config
}

// change makes one of each kind of change in a bundle.
func change(t *testing.T, rootfs string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "etc/hello"), []byte("changed\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "etc/new"), []byte("new\n"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(rootfs, "dir"), 0o700))
	require.NoError(t, os.Remove(filepath.Join(rootfs, "bin/cat")))
}

const changes = "C /bin\nD /bin/cat\nA /dir\nC /etc\nC /etc/hello\nA /etc/new\n"

// From an archive into a registry, out of it, changed, into the registry again, and the same from another machine.
func TestThereAndBack(t *testing.T) {
	needsRoot(t)
	c, host := cli{t, t.TempDir()}, serve(t)
	c.must("import", saved(t))
	c.must("push", "box:v1", host+"/box:v1")
	c.must("rm", "box:v1")

	dir := filepath.Join(t.TempDir(), "bundle")
	c.must("unpack", "--bundle", host+"/box:v1", dir)
	require.FileExists(t, filepath.Join(dir, "config.json"))
	require.Empty(t, c.must("diff", host+"/box:v1", bundle.Rootfs(dir)), "a fresh bundle is the image")
	change(t, bundle.Rootfs(dir))
	require.Equal(t, changes, c.must("diff", host+"/box:v1", bundle.Rootfs(dir)))
	created := "2026-01-02T03:04:05Z"
	first := c.must("repack", "--history.author", "me", "--history.comment", "why", "--history.created", created, dir, host+"/mine:v2")
	require.Equal(t, strings.TrimPrefix(first, host+"/mine:v2"), strings.TrimPrefix(c.must(
		"repack", "--history.author", "me", "--history.comment", "why", "--history.created", created, dir, host+"/mine:v3"), host+"/mine:v3"),
		"the same changes give the same image")

	_, config := c.image(host + "/mine:v2")
	require.Len(t, config.RootFS.DiffIDs, 3)
	require.Equal(t, []string{"cat", "/etc/hello"}, config.Config.Cmd, "the rest of the config stays")
	last := config.History[len(config.History)-1]
	require.Equal(t, [3]string{"me", "why", "rootfs repack"}, [3]string{last.Author, last.Comment, last.CreatedBy})
	c.must("push", host+"/mine:v2")
	require.Contains(t, c.must("push", host+"/mine:v2"), "already exists")

	other := cli{t, t.TempDir()}
	other.must("pull", host+"/mine:v2")
	require.Equal(t, changes, other.must("diff", host+"/mine:v2"), "the last layer is what was changed")
	other.must("run", host+"/mine:v2", "sh", "-c", `[ -d /dir ] && [ ! -e /bin/cat ] && [ ! -e /gone ]`)
	tar := filepath.Join(t.TempDir(), "layer.tar")
	other.must("diff", "-o", tar, host+"/mine:v2")
	p, err := os.ReadFile(tar)
	require.NoError(t, err)
	require.Equal(t, config.RootFS.DiffIDs[2], digest.FromBytes(p), "and it is the same layer again")
	require.NotContains(t, other.must("tree"), "view", "looking leaves nothing")
}

func TestUnchangedBundleIsTheSameImage(t *testing.T) {
	needsRoot(t)
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	dir := filepath.Join(t.TempDir(), "bundle")
	c.must("unpack", "--bundle", "box:v1", dir)
	c.must("repack", dir, "box:again")
	was, _ := c.image("box:v1")
	is, _ := c.image("box:again")
	require.Equal(t, was.Manifest.Digest, is.Manifest.Digest)
}

func TestExportAndImport(t *testing.T) {
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	want, wantConfig := c.image("box:v1")
	for format, name := range map[string]string{"oci": "layout", "oci-archive": "oci.tar", "docker-archive": "docker.tar"} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			cli{t, c.root}.must("export", "--format", format, "box:v1", path)
			other := cli{t, t.TempDir()}
			require.Contains(t, other.must("import", path), "docker.io/library/box:v1@")
			got, config := other.image("box:v1")
			require.Equal(t, wantConfig, config)
			require.Equal(t, want.DiffIDs, got.DiffIDs)
			if format != "docker-archive" { // which has no manifest
				require.Equal(t, want.Manifest, got.Manifest)
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, entries, 1)
		})
	}
}

// Two images share one layout, and an image that is written again takes its own place.
func TestExportAddsToALayout(t *testing.T) {
	c := cli{t, t.TempDir()}
	c.must("import", saved(t), "box:v1")
	c.must("import", saved(t), "box:v2")
	dir := filepath.Join(t.TempDir(), "layout")
	for _, ref := range []string{"box:v1", "box:v2", "box:v1"} {
		c.must("export", "--format", "oci", ref, dir)
	}
	other := cli{t, t.TempDir()}
	require.Equal(t, 2, strings.Count(other.must("import", dir), "\n"))
}

func TestRefusals(t *testing.T) {
	c, host := cli{t, t.TempDir()}, serve(t)
	c.must("import", saved(t))
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "mine"), nil, 0o600))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"push", "missing"}, "docker.io/library/missing:latest: no such image"},
		{[]string{"push", "box:v1", host + "/box@sha256:" + strings.Repeat("a", 64)}, "a digest has its own"},
		{[]string{"push", "box:v1", "127.0.0.1:1/box"}, "connection refused"},
		{[]string{"push", "--platform", "linux/riscv64", "box:v1", host + "/box"}, "no image for this platform"},
		{[]string{"export", "--format", "zip", "box:v1", filepath.Join(full, "x")}, `format "zip"`},
		{[]string{"export", "--format", "oci", "box:v1", full}, "no OCI layout"},
		{[]string{"export", "box:v1", filepath.Join(full, "no/such/dir.tar")}, "no such file"},
		{[]string{"repack", full, "x"}, "not a bundle"},
		{[]string{"diff", "nowhere"}, "no directory, snapshot or image"},
		{[]string{"--mirror", "not a url", "pull", "x"}, "mirror"},
		{[]string{"pull", "--platform", "linux", host + "/box"}, "OS/ARCH"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			_, err := cli{t, c.root}.run(tc.args...)
			require.ErrorContains(t, err, tc.want)
		})
	}
	entries, err := os.ReadDir(full)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a failure leaves nothing")
}

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/stretchr/testify/require"
)

// beRootfs in the environment makes the test's program rootfs itself, to be killed.
const beRootfs = "SLIPWAY_TEST_BE_ROOTFS"

func TestMain(m *testing.M) {
	if os.Getenv(beRootfs) != "" {
		main()
		return
	}
	shield.Main(m)
}

// file is one in a tar; the body of a symbolic link is its target.
type file struct {
	name, body string
	typ        byte
}

func tarOf(files ...file) string {
	var p bytes.Buffer
	w := tar.NewWriter(&p)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.typ, Mode: 0o755}
		if f.typ == tar.TypeSymlink {
			h.Linkname = f.body
		} else {
			h.Size = int64(len(f.body))
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if f.typ == tar.TypeReg {
			_, _ = w.Write([]byte(f.body))
		}
	}
	_ = w.Close()
	return p.String()
}

// saved is what `docker save` writes: a busybox in one layer, and a second layer that takes a file away.
func saved(t *testing.T) string {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs /bin/busybox (Debian: busybox-static)")
	}
	one := tarOf(
		file{"bin/", "", tar.TypeDir}, file{"bin/busybox", string(busybox), tar.TypeReg}, file{"bin/sh", "busybox", tar.TypeSymlink},
		file{"bin/cat", "busybox", tar.TypeSymlink}, file{"gone", "x", tar.TypeReg}, file{"etc/", "", tar.TypeDir}, file{"etc/hello", "hello\n", tar.TypeReg},
	)
	two := tarOf(file{".wh.gone", "", tar.TypeReg})
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "config": map[string]any{"Cmd": []string{"cat", "/etc/hello"}, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromString(one), digest.FromString(two)}},
	})
	require.NoError(t, err)
	name := digest.FromBytes(config).Encoded() + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{"box:v1"}, "Layers": []string{"a/layer.tar", "b/layer.tar"}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "box.tar")
	require.NoError(t, os.WriteFile(path, []byte(tarOf(
		file{"a/layer.tar", one, tar.TypeReg}, file{"b/layer.tar", two, tar.TypeReg}, file{name, string(config), tar.TypeReg},
		file{"manifest.json", string(manifest), tar.TypeReg},
	)), 0o600))
	return path
}

// cli runs rootfs with a state of its own.
type cli struct {
	*testing.T
	root string
}

func (c cli) run(args ...string) (string, error) {
	c.Helper()
	var out bytes.Buffer
	cmd := newRootfs()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"--root", c.root}, args...))
	err := cmd.ExecuteContext(c.Context())
	return out.String(), err
}

func (c cli) must(args ...string) string {
	c.Helper()
	out, err := c.run(args...)
	require.NoError(c, err, out)
	return out
}

func TestFromArchiveToProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces and mounts")
	}
	c := cli{t, t.TempDir()}
	require.Contains(t, c.must("import", saved(t)), "docker.io/library/box:v1@sha256:")
	require.Contains(t, c.must("ls"), "box:v1")

	dir := filepath.Join(t.TempDir(), "plain")
	c.must("unpack", "box:v1", dir)
	require.FileExists(t, filepath.Join(dir, "etc/hello"))
	require.NoFileExists(t, filepath.Join(dir, "gone"))
	_, err := c.run("unpack", "box:v1", dir)
	require.ErrorContains(t, err, "not empty")

	c.must("run", "box:v1")
	c.must("run", "box:v1", "sh", "-c", `[ "$(cat /etc/hello)" = hello ] && [ ! -e /gone ] && [ $$ = 1 ] && echo x > /etc/new`)
	_, err = c.run("run", "box:v1", "sh", "-c", "exit 7")
	require.Equal(t, exitCode(7), err)
	_, err = c.run("run", "box:v1", "sh", "-c", "[ ! -e /etc/new ]")
	require.NoError(t, err, "each run begins with a fresh copy")
	_, err = c.run("run", "box:v1", "missing")
	require.Equal(t, 127, report(err))
	require.Contains(t, c.must("run", "--explain", "box:v1"), "pivot_root . .")

	tree := c.must("tree")
	require.Equal(t, 2, strings.Count(tree, "committed"), tree)
	require.NotContains(t, tree, "active", "a run leaves no snapshot")
	left, err := os.ReadDir(filepath.Join(c.root, "runs"))
	require.NoError(t, err)
	require.Empty(t, left)

	c.must("rm", "box:v1")
	require.Empty(t, c.must("tree"))
	blobs, err := os.ReadDir(filepath.Join(c.root, "content/blobs/sha256"))
	require.NoError(t, err)
	require.Empty(t, blobs, "nothing needs them any more")
	_, err = c.run("rm", "box:v1")
	require.ErrorIs(t, err, layout.ErrNotFound)
}

// What a killed run left is gone with the next command.
func TestKilledRunIsSwept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces and mounts")
	}
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	g := &globals{root: c.root, snapshotter: "overlay"}
	r, err := beginRun(c.root)
	require.NoError(t, err)
	require.NoError(t, g.with(t.Context(), func(s *state) error {
		_, err := s.snapshots.Prepare(t.Context(), r.key, "", nil)
		return err
	}))
	require.Contains(t, c.must("tree"), r.key, "a run that lives is left alone")
	require.NoError(t, r.lock.Close()) // what the kernel does at kill -9
	require.NotContains(t, c.must("tree"), r.key)
	require.NoDirExists(t, r.dir)
}

func TestMergeEnv(t *testing.T) {
	require.Equal(t, []string{"A=3", "B=2", "C="}, mergeEnv([]string{"A=1", "B=2"}, []string{"A=3"}, []string{"C="}))
}

func TestParseUser(t *testing.T) {
	for user, want := range map[string][2]uint32{"": {0, 0}, "root": {0, 0}, "7": {7, 0}, "7:8": {7, 8}} {
		uid, gid, err := parseUser(user)
		require.NoError(t, err, user)
		require.Equal(t, want, [2]uint32{uid, gid}, user)
	}
	for _, user := range []string{"nobody", "-1", "4294967296", "1:x", "99999999999999999999"} {
		_, _, err := parseUser(user)
		require.Error(t, err, user)
	}
}

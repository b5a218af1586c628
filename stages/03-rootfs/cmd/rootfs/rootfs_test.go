package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
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

// What the kernel says of a program that runs: Docker's capabilities without CAP_MKNOD, nothing to inherit, no way to more,
// and no setting of this machine can be changed.
func TestRunIsHardened(t *testing.T) {
	needsRoot(t)
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	status := func(args ...string) map[string]string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "out")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		script := append(args, "box:v1", "sh", "-c", `exec busybox grep -E '^(Cap|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status`)
		text, err := os.ReadFile(c.outputOf(path, append([]string{"run"}, script...)...))
		require.NoError(t, err)
		seen := map[string]string{}
		for line := range strings.Lines(string(text)) {
			k, v, _ := strings.Cut(line, ":")
			seen[k] = strings.Join(strings.Fields(v), " ")
		}
		return seen
	}
	have, err := permitted()
	require.NoError(t, err)
	full := fmt.Sprintf("%016x", 0xa00425fb&have)
	none := fmt.Sprintf("%016x", 0)
	require.Equal(t, map[string]string{
		"CapInh": none, "CapPrm": full, "CapEff": full, "CapBnd": full, "CapAmb": none, "NoNewPrivs": "1", "Uid": "0 0 0 0", "Gid": "0 0 0 0", "Groups": "",
	}, status())
	require.Equal(t, map[string]string{
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": full, "CapAmb": none, "NoNewPrivs": "1", "Uid": "33 33 33 33", "Gid": "44 44 44 44", "Groups": "",
	}, status("--user", "33:44"))
	c.must("run", "box:v1", "sh", "-c", `! busybox mknod /dev/disk b 254 0 && ! echo x >/proc/sys/kernel/core_pattern && ! busybox mount -t tmpfs x /etc && [ -z "$(cat /proc/kcore)" ]`)
	_, err = c.run("run", "--user", "nobody", "box:v1", "true")
	require.ErrorContains(t, err, `knows no "nobody"`)
}

// With a map root inside is an ordinary user outside, the image's files are his, and what he may do to the machine is nothing.
func TestRunInAUserNamespace(t *testing.T) {
	needsRoot(t)
	for _, snapshotter := range []string{"overlay", "copy"} {
		c := cli{t, t.TempDir()}
		t.Setenv("TMPDIR", "/tmp") // where the other root may go
		c.must("import", saved(t))
		script := `set -e; [ "$(busybox stat -c %u:%g /etc/hello)" = 0:0 ]; echo x >/etc/new; [ "$(busybox stat -c %u /etc/new)" = 0 ]
			busybox grep -q '100000' /proc/self/uid_map; ! busybox mount -t tmpfs x /etc; [ "$(cat /etc/hello)" = hello ]; echo ok >/dev/null`
		c.must("--snapshotter", snapshotter, "run", "--idmap", "0:100000:65536", "box:v1", "sh", "-c", script)
		require.NotContains(t, c.must("--snapshotter", snapshotter, "tree"), "active")
	}
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	_, err := c.run("run", "--idmap", "0:1", "box:v1", "true")
	require.ErrorContains(t, err, "CONTAINER:HOST:SIZE")
}

// outputOf runs this test's own program, with its standard output in a file.
func (c cli) outputOf(path string, args ...string) string {
	c.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	require.NoError(c, err)
	defer f.Close()
	cmd := exec.CommandContext(c.Context(), os.Args[0], append([]string{"--root", c.root}, args...)...)
	cmd.Env = append(os.Environ(), beRootfs+"=1")
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = f, &complaints
	require.NoError(c, cmd.Run(), "%s", &complaints)
	return path
}

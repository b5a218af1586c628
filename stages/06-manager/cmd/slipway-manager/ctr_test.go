package main

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// TestCtr swaps our client for the real one: Debian's ctr imports an image,
// unpacks it through content, snapshots and diff, runs it, and removes it.
func TestCtr(t *testing.T) {
	if _, err := exec.LookPath("ctr"); err != nil {
		t.Skip("needs ctr")
	}
	r := newRig(t)
	const ref = "example.org/busybox:1"
	group := "--cgroup /slipway-test-" + strings.ToLower(rand.Text()) // leaves no parent behind
	archive := filepath.Join(r.dir, "image.tar")
	writeImage(t, archive, ref)
	for _, step := range []struct {
		args string
		want string // in the output
		fail bool
	}{
		{"images import " + archive, ref, false},
		{"images check", "complete", false},
		{"run --rm " + group + " " + ref + " one sh -c echo\tfrom\tctr", "from ctr", false},
		{"run --rm " + group + " " + ref + " two sh -c exit\t7", "", true},
		{"run -d " + group + " " + ref + " three sleep 1000", "", false},
		{"tasks exec --exec-id e three sh -c echo\tinside", "inside", false},
		{"tasks pause three", "", false},
		{"tasks ls", "PAUSED", false},
		{"tasks resume three", "", false},
		{"tasks metrics three", "METRIC", false},
		{"tasks delete -f three", "137", false},
		{"containers rm three", "", false},
		{"images rm --sync " + ref, ref, false},
	} {
		args := strings.Fields(strings.ReplaceAll(step.args, "\t", "\x00"))
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "\x00", " ")
		}
		out, err := exec.Command("ctr", append([]string{"-a", r.sock(), "-n", "ctr"}, args...)...).CombinedOutput()
		require.Equal(t, step.fail, err != nil, "ctr %s: %v\n%s", step.args, err, out)
		require.Contains(t, string(out), step.want, "ctr %s", step.args)
	}
	left, err := filepath.Glob(filepath.Join(r.dir, "root", "content", "blobs", "sha256", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "the disk is free")
}

// writeImage makes an archive with a one-layer image.
func writeImage(t *testing.T, path, ref string) {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(busybox))}))
	_, err = w.Write(busybox)
	require.NoError(t, err)
	for _, link := range []string{"sh", "sleep", "echo"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + link, Linkname: "busybox"}))
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	cfg.OS, cfg.Architecture, cfg.Config = "linux", "amd64", v1.Config{Env: []string{"PATH=/bin"}}
	img, err = mutate.ConfigFile(img, cfg)
	require.NoError(t, err)
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(path, tag, img))
}

//go:build interop

package interop

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile is a registry that serves what it was told to, whatever the digests say.
type hostile struct {
	manifests map[string][]byte // by "name:reference"
	blobs     map[string][]byte // by digest
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if name, ref, ok := strings.Cut(path, "/manifests/"); ok {
		h.answer(w, docker2.manifest, h.manifests[name+":"+ref])
		return
	}
	if _, d, ok := strings.Cut(path, "/blobs/"); ok {
		h.answer(w, "application/octet-stream", h.blobs[d])
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (h *hostile) answer(w http.ResponseWriter, kind string, body []byte) {
	if body == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.Header().Set("Docker-Content-Digest", digest(body))
	_, _ = w.Write(body)
}

// image adds an image and returns the digest of its manifest.
func (h *hostile) image(name string, layers ...layer) string {
	config, manifest := manifestOf(docker2, runConfig{Cmd: []string{"/bin/sh"}}, layers)
	h.blobs[digest(config)] = config
	for _, l := range layers {
		h.blobs[l.digest] = l.packed
	}
	h.manifests[name+":latest"] = manifest
	h.manifests[name+":"+digest(manifest)] = manifest
	return digest(manifest)
}

func newHostile(t *testing.T) (*hostile, string) {
	t.Helper()
	h := &hostile{map[string][]byte{}, map[string][]byte{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return h, l.Addr().String()
}

// oneError checks that a command ended as a failure that a person understands: one error, in one or two lines, with the cause.
func oneError(t *testing.T, r result, code int, cause string) {
	t.Helper()
	require.Equal(t, code, r.code, r.String())
	require.Regexp(t, cause, r.err, r.String())
	require.NotContains(t, r.err, "goroutine ", "a stack is no message")
	lines := 0
	for l := range strings.Lines(r.err) {
		if l = strings.TrimSpace(l); l != "" && !regexp.MustCompile(`^(See '|Run 'docker |Unable to find image|\S+: Pulling from|[0-9a-f]{12}: )`).MatchString(l) {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 2, r.String())
}

func TestBadImages(t *testing.T) {
	nothingLeft(t)
	h, addr := newHostile(t)
	good := newLayer(folder("bin"), file("bin/sh", "#!", 0o755))

	rows := []struct {
		name, ref, cause string
	}{
		{"unknown image", registryAddr + "/nope", `(?i)not found|manifest unknown`},
		{"unknown tag", registryAddr + "/debian:nope", `(?i)not found|manifest unknown`},
		{"unreachable registry", "127.0.0.1:5999/x", `connection refused`},
		{"no name", "127.0.0.1:5000/UPPER", `(?i)invalid reference format`},
		{"wrong digest of a layer", addr + "/wrong-layer", `(?i)digest|verif`},
		{"wrong length of a layer", addr + "/wrong-length", `(?i)digest|verif|size|bytes`},
		{"wrong digest of the config", addr + "/wrong-config", `(?i)digest|verif`},
		{"wrong digest of the manifest", addr + "/wrong-manifest@sha256:" + strings.Repeat("1", 64), `(?i)digest|verif|mismatch`},
		{"wrong digest of a layer's content", addr + "/wrong-diff", `(?i)digest|diff|verif|layers`},
		{"no tar file", addr + "/no-tar", `(?i)tar|archive|magic|header|EOF`},
	}
	h.image("wrong-layer", good)
	flipped := bytes.Clone(good.packed)
	flipped[len(flipped)-5]++ // in gzip's own checksum
	h.blobs[good.digest] = flipped
	long := newLayer(file("z", "z", 0o644))
	h.image("wrong-length", long)
	h.blobs[long.digest] = long.packed[:len(long.packed)-9]
	other := newLayer(file("x", "x", 0o644))
	h.image("wrong-config", other)
	config, _ := manifestOf(docker2, runConfig{Cmd: []string{"/bin/sh"}}, []layer{other})
	h.blobs[digest(config)] = []byte(strings.Replace(string(config), "/bin/sh", "/bin/xx", 1))
	h.manifests["wrong-manifest:sha256:"+strings.Repeat("1", 64)] = h.manifests["wrong-layer:latest"]
	lying := newLayer(file("y", "y", 0o644))
	lying.diffID = "sha256:" + strings.Repeat("2", 64)
	h.image("wrong-diff", lying)
	noTar := layer{packed: []byte("this is no tar file at all, and not gzip either"), diffID: "sha256:" + strings.Repeat("3", 64)}
	noTar.digest = digest(noTar.packed)
	h.image("no-tar", noTar)

	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			oneError(t, docker(t, "pull", row.ref), 1, row.cause)
			if row.name != "no name" {
				oneError(t, docker(t, "run", "--rm", row.ref), 125, row.cause)
			}
			require.NotContains(t, must(t, "images", "--format", "{{.Repository}}"), strings.SplitN(row.ref, "@", 2)[0])
		})
	}
}

// TestLayersThatReachOut: a layer's names are the enemy's. Whatever the engine says, nothing outside the root is touched.
func TestLayersThatReachOut(t *testing.T) {
	nothingLeft(t)
	h, addr := newHostile(t)
	canary := t.TempDir()
	secret := filepath.Join(canary, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret\n"), 0o600))
	up := strings.Repeat("../", 30)
	evil := func(name string) string { return strings.TrimPrefix(filepath.Join(canary, name), "/") }
	rows := []struct {
		name    string
		entries []entry
		refused bool // otherwise it may also land inside the root
	}{
		{"dot dot", []entry{file(up+evil("dotdot"), "x", 0o644)}, true},
		{"dot dot in the middle", []entry{folder("a"), file("a/"+up+evil("middle"), "x", 0o644)}, true},
		{"absolute name", []entry{file("/"+evil("absolute"), "x", 0o644)}, false},
		{"through an absolute symbolic link", []entry{link(tar.TypeSymlink, "out", canary), file("out/symlink", "x", 0o644)}, false},
		{"through a relative symbolic link", []entry{link(tar.TypeSymlink, "out", up+strings.TrimPrefix(canary, "/")), file("out/relative", "x", 0o644)}, false},
		{"hard link to a file of the host", []entry{link(tar.TypeLink, "stolen", up+evil("secret"))}, true},
		{"hard link through a symbolic link", []entry{link(tar.TypeSymlink, "out", canary), link(tar.TypeLink, "stolen", "out/secret")}, true},
		{"whiteout through a symbolic link", []entry{link(tar.TypeSymlink, "out", canary), file("out/.wh.secret", "", 0)}, false},
		{"opaque through a symbolic link", []entry{link(tar.TypeSymlink, "out", canary), file("out/.wh..wh..opq", "", 0)}, false},
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			image := fmt.Sprintf("reach%d", i)
			h.image(image, newLayer(append([]entry{folder("bin")}, row.entries...)...))
			r := docker(t, "pull", addr+"/"+image)
			if row.refused && theWorld.target == "slipway" || r.code != 0 { // dockerd 20.10 cuts .. off in its chroot
				oneError(t, r, 1, `.`)
				require.NotContains(t, must(t, "images", "--format", "{{.Repository}}"), addr+"/"+image)
			}
			docker(t, "rmi", "-f", addr+"/"+image)
			left, err := os.ReadDir(canary)
			require.NoError(t, err)
			require.Len(t, left, 1, "something was written to or removed from the host's %s", canary)
			var st syscall.Stat_t
			require.NoError(t, syscall.Stat(secret, &st))
			require.EqualValues(t, 1, st.Nlink, "the host's file has one more name")
		})
	}
}

func TestNameInUse(t *testing.T) {
	n := name(t, "")
	id := must(t, "run", "-d", "--name", n, theWorld.images.busybox, "sleep", "100")
	nothingLeft(t)
	oneError(t, docker(t, "run", "-d", "--name", n, theWorld.images.busybox, "true"), 125,
		fmt.Sprintf(`Conflict\. The container name "/%s" is already in use by container "?%s"?\. You have to remove \(or rename\) that container to be able to reuse that name\.`, n, id))
	must(t, "exec", n, "true")
}

func TestPortInUse(t *testing.T) {
	n, late := name(t, ""), name(t, "-late")
	must(t, "run", "-d", "--name", n, "-p", "8123:80", theWorld.images.busybox, "sleep", "100")
	nothingLeft(t)
	oneError(t, docker(t, "run", "-d", "--name", late, "-p", "8123:80", theWorld.images.busybox, "true"), 125,
		`driver failed programming external connectivity on endpoint `+late+` \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8123 failed: port is already allocated`)
	require.Equal(t, "created", must(t, "inspect", "-f", "{{.State.Status}}", late))
	must(t, "rm", late)

	l, err := net.Listen("tcp4", "0.0.0.0:8124")
	require.NoError(t, err)
	defer l.Close()
	oneError(t, docker(t, "run", "-d", "--name", late, "-p", "8124:80", theWorld.images.busybox, "true"), 125, `address already in use`)
	require.NoError(t, l.Close())
	must(t, "start", late) // and it is free again
	must(t, "rm", "-f", late)
}

// TestFullDisk: a pull that does not fit says so, gives its space back, and the engine still works.
func TestFullDisk(t *testing.T) {
	nothingLeft(t)
	data := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", data, "tmpfs", 0, "size=96m"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(data, 0)) })

	small := another(t, theWorld.target)
	small.data = data
	require.NoError(t, small.start())
	used := func() int64 {
		var st syscall.Statfs_t
		require.NoError(t, syscall.Statfs(data, &st))
		return int64(st.Blocks-st.Bfree) * st.Bsize
	}
	empty := used()
	oneError(t, docker(t, "pull", theWorld.images.debian), 1, `no space left on device`)
	require.NotContains(t, must(t, "images", "--format", "{{.Repository}}"), "debian")
	require.NoError(t, eventually(testPatience, func() error {
		if now := used(); now > empty+8<<20 {
			return fmt.Errorf("%d MiB are in use, %d before the pull", now>>20, empty>>20)
		}
		return nil
	}))
	require.Equal(t, "works", must(t, "run", "--rm", theWorld.images.busybox, "echo", "works"))
}

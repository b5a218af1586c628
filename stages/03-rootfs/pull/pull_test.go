package pull_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

// bench is a registry in memory that can be made to lie, and a store to pull into.
type bench struct {
	*testing.T
	server *httptest.Server
	host   string
	store  *content.Store
	// tamper sees every request first; true means that it has answered.
	tamper func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool
	gets   atomic.Int64 // of blobs
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t}
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			b.gets.Add(1)
		}
		if b.tamper == nil || r.Method != http.MethodGet || !b.tamper(w, r, inner) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(b.server.Close)
	b.host = strings.TrimPrefix(b.server.URL, "http://")
	s, err := content.Open(t.TempDir())
	require.NoError(t, err)
	b.store = s
	return b
}

type entry struct {
	name, body string
	typ        byte
	link       string
}

func tarOf(entries ...entry) []byte {
	var p bytes.Buffer
	w := tar.NewWriter(&p)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.typ, Size: int64(len(e.body)), Mode: 0o644, Linkname: e.link, Format: tar.FormatPAX}
		if e.typ == tar.TypeDir {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return p.Bytes()
}

func gzipped(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

func zstded(p []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(p, nil)
}

func (b *bench) upload(path, mediaType string, p []byte) {
	b.Helper()
	method, url := http.MethodPut, b.server.URL+"/v2/app/manifests/"+path
	if mediaType == "" {
		method, url = http.MethodPost, b.server.URL+"/v2/app/blobs/uploads/?digest="+path
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(p))
	require.NoError(b, err)
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	require.Equal(b, http.StatusCreated, resp.StatusCode, "%s", body)
}

func (b *bench) blob(mediaType string, p []byte) ocispec.Descriptor {
	b.Helper()
	d := digest.FromBytes(p)
	b.upload(d.String(), "", p)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(p))}
}

func marshal(v any) []byte {
	p, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return p
}

// image uploads an image of the given layers (plain tars) under tag and gives its manifest's descriptor.
func (b *bench) image(tag string, platform ocispec.Platform, docker bool, layers ...[]byte) ocispec.Descriptor {
	b.Helper()
	manifestType, configType, layerType := ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip
	if docker {
		manifestType = "application/vnd.docker.distribution.manifest.v2+json"
		configType = "application/vnd.docker.container.image.v1+json"
		layerType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: manifestType}
	config := ocispec.Image{Platform: platform, RootFS: ocispec.RootFS{Type: "layers"}}
	for i, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(l))
		switch {
		case docker || i%3 == 0:
			m.Layers = append(m.Layers, b.blob(layerType, gzipped(l)))
		case i%3 == 1:
			m.Layers = append(m.Layers, b.blob(ocispec.MediaTypeImageLayerZstd, zstded(l)))
		default:
			m.Layers = append(m.Layers, b.blob(ocispec.MediaTypeImageLayer, l))
		}
	}
	m.Config = b.blob(configType, marshal(config))
	p := marshal(m)
	b.upload(tag, manifestType, p)
	return ocispec.Descriptor{MediaType: manifestType, Digest: digest.FromBytes(p), Size: int64(len(p)), Platform: &platform}
}

func (b *bench) index(tag string, manifests ...ocispec.Descriptor) {
	b.Helper()
	b.upload(tag, ocispec.MediaTypeImageIndex, marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests,
	}))
}

func (b *bench) fetch(tag string, o pull.Options) (pull.Image, error) {
	return pull.Fetch(b.Context(), b.host+"/app"+tag, b.store, o)
}

// empty fails when anything is half there.
func (b *bench) noIngests() {
	b.Helper()
	all, err := b.store.Statuses()
	require.NoError(b, err)
	require.Empty(b, all)
}

var amd64 = pull.HostPlatform()

var threeLayers = [][]byte{
	tarOf(entry{name: "etc/", typ: tar.TypeDir}, entry{name: "etc/a", body: "a1", typ: tar.TypeReg}, entry{name: "etc/b", body: "b1", typ: tar.TypeReg}),
	tarOf(entry{name: "etc/.wh.a", typ: tar.TypeReg}, entry{name: "usr/bin/x", body: "x2", typ: tar.TypeReg}),
	tarOf(entry{name: "usr/bin/x", body: "x3", typ: tar.TypeReg}, entry{name: "etc/c", body: "c3", typ: tar.TypeReg}),
}

func TestFetchAndUnpack(t *testing.T) {
	for name, docker := range map[string]bool{"OCI with gzip zstd and plain": false, "Docker schema 2": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.image("v1", amd64, docker, threeLayers...)
			img, err := b.fetch(":v1", pull.Options{})
			require.NoError(t, err)
			require.Equal(t, b.host+"/app:v1", img.Name)
			require.Len(t, img.Layers, 3)
			b.noIngests()
			b.checkUnpacked(img, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewOverlay(dir) })
			b.checkUnpacked(img, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewCopy(dir) })

			again, err := pull.ReadImage(b.store, img.Target, nil)
			require.NoError(t, err)
			again.Name = img.Name
			require.Equal(t, img, again)
			before := b.gets.Load()
			_, err = b.fetch(":v1", pull.Options{})
			require.NoError(t, err)
			require.Equal(t, before, b.gets.Load(), "nothing is downloaded twice")
		})
	}
}

func (b *bench) checkUnpacked(img pull.Image, open func(string) (snapshot.Snapshotter, error)) {
	b.Helper()
	if os.Geteuid() != 0 {
		b.Skip("needs root: owners and mounts")
	}
	s, err := open(b.TempDir())
	require.NoError(b, err)
	defer s.Close()
	for range 2 { // the second time nothing is to be done
		chain, err := pull.Unpack(b.Context(), img, b.store, s, pull.Options{})
		require.NoError(b, err)
		require.Equal(b, pull.ChainIDs(img.DiffIDs)[2].String(), chain)
	}
	ms, err := s.View(b.Context(), "v", pull.ChainIDs(img.DiffIDs)[2].String(), nil)
	require.NoError(b, err)
	dir := b.TempDir()
	require.NoError(b, snapshot.MountAll(ms, dir))
	defer func() { require.NoError(b, snapshot.UnmountAll(dir)) }()
	got := map[string]string{}
	for _, name := range []string{"etc/a", "etc/b", "etc/c", "usr/bin/x"} {
		p, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			p = []byte("(none)")
		}
		got[name] = string(p)
	}
	require.Equal(b, map[string]string{"etc/a": "(none)", "etc/b": "b1", "etc/c": "c3", "usr/bin/x": "x3"}, got)
	n := 0
	require.NoError(b, s.Walk(b.Context(), func(snapshot.Info) error { n++; return nil }))
	require.Equal(b, 4, n, "three layers and the view")
}

func TestIndexByPlatform(t *testing.T) {
	b := newBench(t)
	body := func(s string) []byte { return tarOf(entry{name: "f", body: s, typ: tar.TypeReg}) }
	p := func(arch, variant string) ocispec.Platform {
		return ocispec.Platform{OS: "linux", Architecture: arch, Variant: variant}
	}
	var all []ocispec.Descriptor
	for _, platform := range []ocispec.Platform{p("arm", "v6"), p("amd64", ""), p("arm64", "v8"), p("arm", "v7")} {
		all = append(all, b.image("tmp", platform, false, body(platform.Architecture+platform.Variant)))
	}
	b.index("multi", all...)
	tests := map[string]struct {
		want ocispec.Platform
		pick int
	}{
		"exact": {p("amd64", ""), 1}, "implied variant": {p("arm64", ""), 2}, "best variant": {p("arm", ""), 3},
		"older variant": {p("arm", "v6"), 0}, "alias": {p("x86_64", ""), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			img, err := b.fetch(":multi", pull.Options{Platform: &tt.want})
			require.NoError(t, err)
			require.Equal(t, all[tt.pick].Digest, img.Manifest.Digest)
			require.Equal(t, ocispec.MediaTypeImageIndex, img.Target.MediaType)
		})
	}
	_, err := b.fetch(":multi", pull.Options{Platform: new(p("riscv64", ""))})
	require.ErrorIs(t, err, pull.ErrPlatform)
	require.ErrorContains(t, err, "linux/riscv64")
	byDigest, err := b.fetch("@"+all[0].Digest.String(), pull.Options{})
	require.NoError(t, err)
	require.Equal(t, all[0].Digest, byDigest.Target.Digest)
}

func TestErrorsHaveAKind(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	closed := httptest.NewServer(nil)
	closed.Close()
	dead := strings.TrimPrefix(closed.URL, "http://")
	tests := map[string]struct {
		ref  string
		want error
	}{
		"no such tag":             {b.host + "/app:nope", pull.ErrNotFound},
		"no such repository":      {b.host + "/nope:v1", pull.ErrNotFound},
		"nobody listens":          {dead + "/app:v1", pull.ErrUnreachable},
		"not a reference":         {"UPPER/case", pull.ErrReference},
		"not a reference, either": {"a b", pull.ErrReference},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := pull.Fetch(t.Context(), tt.ref, b.store, pull.Options{})
			require.ErrorIs(t, err, tt.want)
			t.Log(err)
			b.noIngests()
		})
	}
}

func isBlob(r *http.Request, d digest.Digest) bool {
	return strings.HasSuffix(r.URL.Path, "/blobs/"+d.String())
}

func TestRegistryThatLies(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter, good []byte){
		"other bytes":    func(w http.ResponseWriter, good []byte) { good[len(good)/2] ^= 1; _, _ = w.Write(good) },
		"too many bytes": func(w http.ResponseWriter, good []byte) { _, _ = w.Write(append(good, 'x')) },
		"bytes for ever": func(w http.ResponseWriter, good []byte) { _, _ = w.Write(bytes.Repeat(good, 10000)) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.image("v1", amd64, true, threeLayers...)
			victim := digest.FromBytes(gzipped(threeLayers[1]))
			b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if isBlob(r, victim) {
					answer(w, bytes.Clone(gzipped(threeLayers[1])))
				}
				return isBlob(r, victim)
			}
			_, err := b.fetch(":v1", pull.Options{})
			require.ErrorIs(t, err, pull.ErrDigest)
			require.ErrorContains(t, err, victim.String())
			t.Log(err)
			_, err = b.store.Info(victim)
			require.ErrorIs(t, err, content.ErrNotFound)
			_, err = b.store.Status("blob-" + victim.String())
			require.ErrorIs(t, err, content.ErrNotFound, "nothing wrong is kept for resuming")
		})
	}
}

func TestWrongManifest(t *testing.T) {
	b := newBench(t)
	desc := b.image("v1", amd64, false, threeLayers...)
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		fmt.Fprint(w, `{"schemaVersion":2}`)
		return true
	}
	_, err := b.fetch("@"+desc.Digest.String(), pull.Options{})
	require.ErrorIs(t, err, pull.ErrDigest)
	b.noIngests()
}

// A connection that breaks is taken up where it broke.
func TestTruncatedBodyIsResumed(t *testing.T) {
	for name, ranges := range map[string]bool{"with ranges": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			big := tarOf(entry{name: "f", body: strings.Repeat("0123456789", 1<<16), typ: tar.TypeReg})
			blob := gzipped(big)
			b.image("v1", amd64, true, big)
			var mu sync.Mutex
			var asked []string
			b.tamper = func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool {
				if !isBlob(r, digest.FromBytes(blob)) {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Header.Get("Range"))
				if len(asked) == 1 {
					w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
					_, _ = w.Write(blob[:len(blob)/2])
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
				if !ranges {
					_, _ = w.Write(blob)
					return true
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
				return true
			}
			_, err := b.fetch(":v1", pull.Options{})
			require.NoError(t, err)
			require.Equal(t, []string{"", fmt.Sprintf("bytes=%d-%d", len(blob)/2, len(blob)-1)}, asked)
			info, err := b.store.Info(digest.FromBytes(blob))
			require.NoError(t, err)
			require.Equal(t, int64(len(blob)), info.Size)
		})
	}
}

func TestUnauthorized(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if user, pass, _ := r.BasicAuth(); user == "me" && pass == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return true
	}
	_, err := b.fetch(":v1", pull.Options{})
	require.ErrorIs(t, err, pull.ErrUnauthorized)
	_, err = b.fetch(":v1", pull.Options{Keychain: keychain{"me", "wrong"}})
	require.ErrorIs(t, err, pull.ErrUnauthorized)
	require.NotContains(t, err.Error(), "wrong", "no password in an error")
	b.noIngests()
	_, err = b.fetch(":v1", pull.Options{Keychain: keychain{"me", "secret"}})
	require.NoError(t, err)
}

// A token is asked for where the registry says, with the credentials, and sent with every request after that.
func TestBearerToken(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	var asked atomic.Int64
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		switch {
		case r.URL.Path == "/token":
			asked.Add(1)
			if _, pass, _ := r.BasicAuth(); pass != "secret" || r.URL.Query().Get("scope") != "repository:app:pull" {
				http.Error(w, "{}", http.StatusUnauthorized)
			} else {
				fmt.Fprint(w, `{"token":"t0ken"}`)
			}
			return true
		case r.Header.Get("Authorization") == "Bearer t0ken":
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test",scope="repository:app:pull"`, b.server.URL))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	_, err := b.fetch(":v1", pull.Options{})
	require.ErrorIs(t, err, pull.ErrUnauthorized)
	asked.Store(0)
	_, err = b.fetch(":v1", pull.Options{Keychain: keychain{"me", "secret"}})
	require.NoError(t, err)
	require.Equal(t, int64(1), asked.Load())
}

// A registry that is busy for a moment is asked again.
func TestBusyRegistry(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	var n atomic.Int64
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Path == "/v2/" || n.Add(1)%2 == 0 {
			return false
		}
		http.Error(w, "{}", http.StatusTooManyRequests)
		return true
	}
	_, err := b.fetch(":v1", pull.Options{})
	require.NoError(t, err)
}

type keychain struct{ user, password string }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}

func TestPlainHTTPOnlyWhereAllowed(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	_, err := b.fetch(":v1", pull.Options{PlainHTTP: func(string) bool { return false }})
	require.ErrorIs(t, err, pull.ErrUnreachable)
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]:5000": true, "::1": true,
		"docker.io": false, "10.0.0.1:5000": false, "localhost.evil.org": false, "127.0.0.1.evil.org": false,
	} {
		require.Equal(t, want, pull.IsLoopback(host), host)
	}
}

func TestMirror(t *testing.T) {
	b := newBench(t)
	b.image("latest", amd64, false, threeLayers...)
	img, err := pull.Fetch(t.Context(), "nowhere.invalid/app", b.store, pull.Options{
		Mirrors: map[string][]string{"nowhere.invalid": {"http://127.0.0.1:1", b.server.URL}},
	})
	require.NoError(t, err)
	require.Equal(t, "nowhere.invalid/app:latest", img.Name)
}

func TestProgressAndCancel(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	var phases []pull.Phase
	seen := map[pull.Phase]int{}
	o := pull.Options{Progress: func(e pull.Event) { phases = append(phases, e.Phase); seen[e.Phase]++ }}
	_, err := b.fetch(":v1", o)
	require.NoError(t, err)
	require.Equal(t, pull.Resolving, phases[0])
	require.Equal(t, 3, seen[pull.Waiting])
	require.Equal(t, 3, seen[pull.DownloadComplete])
	_, err = b.fetch(":v1", o)
	require.NoError(t, err)
	require.Equal(t, 3, seen[pull.AlreadyExists])

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pull.Fetch(ctx, b.host+"/app:v1", b.store, pull.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestUnpackLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners and mounts")
	}
	evil := [][]byte{
		tarOf(entry{name: "ok", body: "1", typ: tar.TypeReg}),
		tarOf(entry{name: "../../escape", body: "1", typ: tar.TypeReg}),
		tarOf(entry{name: "never", body: "1", typ: tar.TypeReg}),
	}
	for name, wrongDiffID := range map[string]bool{"a layer that escapes": false, "a diff id that is not the layer's": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			layers := evil
			if wrongDiffID {
				layers = threeLayers
			}
			b.image("v1", amd64, false, layers...)
			img, err := b.fetch(":v1", pull.Options{})
			require.NoError(t, err)
			if wrongDiffID {
				img.DiffIDs[2] = digest.FromString("something else")
			}
			for kind, open := range map[string]func(string) (snapshot.Snapshotter, error){
				"overlay": func(d string) (snapshot.Snapshotter, error) { return snapshot.NewOverlay(d) },
				"copy":    func(d string) (snapshot.Snapshotter, error) { return snapshot.NewCopy(d) },
			} {
				s, err := open(t.TempDir())
				require.NoError(t, err)
				_, err = pull.Unpack(t.Context(), img, b.store, s, pull.Options{})
				require.Error(t, err, kind)
				t.Log(err)
				require.NoError(t, s.Walk(t.Context(), func(i snapshot.Info) error { return fmt.Errorf("%s: left: %q", kind, i.Name) }))
				require.NoError(t, s.Close())
			}
		})
	}
}

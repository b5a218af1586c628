package pull_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

// Each test here is named by what a registry once did to an engine.

// manifest makes the registry serve body under every tag.
func (b *bench) manifest(mediaType, body string) {
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", mediaType)
		fmt.Fprint(w, body)
		return true
	}
}

func (b *bench) refuses(mediaType, body, why string) {
	b.Helper()
	b.manifest(mediaType, body)
	_, err := b.fetch(":v1", pull.Options{})
	require.ErrorIs(b, err, pull.ErrManifest, body)
	require.ErrorContains(b, err, why)
	b.noIngests()
}

const (
	hex64    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	aConfig  = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` + hex64 + `","size":2}`
	aLayers  = `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:` + hex64 + `","size":2}]`
	children = `"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` + hex64 + `","size":2}]`
)

// The same bytes are an index to one reader and a manifest to another.
func TestCVE_2021_41190(t *testing.T) {
	b := newBench(t)
	for _, mediaType := range []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, "application/json"} {
		b.refuses(mediaType, `{"schemaVersion":2,`+aConfig+`,`+aLayers+`,`+children+`}`, "at once")
	}
	b.refuses(ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`",`+aConfig+`}`, "calls itself")
	b.refuses(ocispec.MediaTypeImageIndex, `{"schemaVersion":2,`+aConfig+`,`+aLayers+`}`, "content")
}

// A digest that is a path, or none, or of an algorithm that nobody knows.
func TestCVE_2024_3727(t *testing.T) {
	b := newBench(t)
	for _, d := range []string{"../../../etc/passwd", "sha256:../../x", "sha256:" + strings.Repeat("A", 64), "md5:" + hex64[:32], "", "sha256:" + hex64 + "0"} {
		b.refuses(ocispec.MediaTypeImageManifest, `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+d+`","size":2}}`, "digest")
	}
	for _, size := range []string{"-1", "99999999999"} {
		b.refuses(ocispec.MediaTypeImageManifest, `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:`+hex64+`","size":`+size+`}}`, "bytes")
	}
}

// A child of an index whose digest is malformed stopped a daemon.
func TestCVE_2026_95839(t *testing.T) {
	b := newBench(t)
	for _, d := range []string{`"sha256:x"`, `""`, `null`, `"x"`} {
		b.refuses(ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[{"digest":`+d+`}]}`, "digest")
	}
	b.refuses(ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[null]}`, "digest")
}

// An image whose config is not one crashed a daemon while it was pulled. null is everything that a config may leave out.
func TestCVE_2021_21285(t *testing.T) {
	for _, config := range []string{"null", "{}", `{"rootfs":null}`, `{"rootfs":{"diff_ids":null},"history":[null]}`, "[]", `"x"`, ""} {
		b := newBench(t)
		m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{b.blob(ocispec.MediaTypeImageLayer, threeLayers[0])}}
		m.SchemaVersion = 2
		m.Config = b.blob(ocispec.MediaTypeImageConfig, []byte(config))
		b.upload("v1", m.MediaType, marshal(m))
		_, err := b.fetch(":v1", pull.Options{})
		require.ErrorIs(t, err, pull.ErrManifest, "%q", config)
	}
}

// Schema 1 has neither digests of what it holds nor a place in this century.
func TestSchema1IsRefused(t *testing.T) {
	b := newBench(t)
	b.refuses("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"name":"app","tag":"v1","fsLayers":[{"blobSum":"sha256:`+hex64+`"}],"history":[{"v1Compatibility":"{}"}]}`, "schema 1")
}

// Whoever can reach the state of an engine reads other people's files and runs set-user-ID programs in them (Docker, containerd).
func TestCVE_2021_41091(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	s, err := content.Open(filepath.Join(dir, "content"))
	require.NoError(t, err)
	for name, open := range map[string]func(string) (snapshot.Snapshotter, error){
		"overlay": func(d string) (snapshot.Snapshotter, error) { return snapshot.NewOverlay(d) },
		"copy":    func(d string) (snapshot.Snapshotter, error) { return snapshot.NewCopy(d) },
	} {
		sn, err := open(filepath.Join(dir, name))
		require.NoError(t, err)
		_, err = sn.Prepare(t.Context(), "k", "", nil)
		require.NoError(t, err)
		require.NoError(t, sn.Close())
	}
	w, err := s.Writer("r", 0, "")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for _, name := range []string{"content/blobs", "content/ingest", "overlay/snapshots", "copy/snapshots"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Zero(t, fi.Mode().Perm()&0o077, name)
	}
}

// Nothing of a pull goes on when its caller has gone: no goroutine waits for a registry that will not answer.
func TestCancelledPullLeavesNoGoroutine(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, true, threeLayers...)
	victim := digest.FromBytes(gzipped(threeLayers[1]))
	reached := make(chan struct{}, 10)
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !isBlob(r, victim) {
			return false
		}
		reached <- struct{}{}
		<-r.Context().Done()
		return true
	}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	_, err := pull.Fetch(ctx, b.host+"/app:v1", b.store, pull.Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+6 }, 5*time.Second, 10*time.Millisecond)
}

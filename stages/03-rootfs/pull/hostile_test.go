package pull_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

// A blob that is shorter than its descriptor says, served as a whole, is wrong and not cut off: that is told at once, and nobody
// asks for the rest.
func TestShortBlobIsToldAtOnce(t *testing.T) {
	whole := gzipped(threeLayers[1])
	for name, answer := range map[string]func(w http.ResponseWriter, p []byte){
		"with a length": func(w http.ResponseWriter, p []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(p)))
			_, _ = w.Write(p)
		},
		"in chunks": func(w http.ResponseWriter, p []byte) {
			_, _ = w.Write(p[:10])
			w.(http.Flusher).Flush()
			_, _ = w.Write(p[10:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.image("v1", amd64, true, threeLayers...)
			victim := digest.FromBytes(whole)
			var asked atomic.Int64
			b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if isBlob(r, victim) {
					asked.Add(1)
					answer(w, whole[:len(whole)-20])
				}
				return isBlob(r, victim)
			}
			_, err := b.fetch(":v1", pull.Options{})
			require.ErrorIs(t, err, pull.ErrDigest)
			require.ErrorContains(t, err, fmt.Sprintf("blob %s: got %d bytes, want %d", victim, len(whole)-20, len(whole)))
			require.Equal(t, int64(1), asked.Load())
			_, err = b.store.Status("blob-" + victim.String())
			require.Error(t, err, "nothing wrong is kept for resuming")
		})
	}
}

// A registry that begins to answer and then sends nothing holds nobody up for ever.
func TestSlowLorisIsResumed(t *testing.T) {
	b := newBench(t)
	big := make([]byte, 300_000)
	_, _ = rand.Read(big)
	b.image("v1", amd64, true, tarOf(entry{name: "f", body: string(big), typ: '0'}))
	var stalled atomic.Int64
	b.tamper = func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") || stalled.Add(1) > 1 {
			return false
		}
		w.Header().Set("Content-Length", "300512")
		_, _ = w.Write(make([]byte, 0))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	_, err := b.fetch(":v1", pull.Options{StallTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	require.Greater(t, stalled.Load(), int64(1))
}

// A registry that names a time to come back is not asked before; one that names an hour is not waited for.
func TestRetryAfter(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	var busy atomic.Int64
	var until atomic.Int64
	after := "1"
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		now := time.Now().UnixMilli()
		if busy.Add(1) > 1 && after == "1" {
			require.GreaterOrEqual(t, now, until.Load(), "asked before its time")
			return false
		}
		until.Store(now + 1000)
		w.Header().Set("Retry-After", after)
		http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`, http.StatusTooManyRequests)
		return true
	}
	_, err := b.fetch(":v1", pull.Options{})
	require.NoError(t, err)
	busy.Store(0)
	after = "3600"
	_, err = b.fetch(":v1", pull.Options{})
	require.ErrorIs(t, err, pull.ErrRegistry)
	require.ErrorContains(t, err, "1h0m0s")
	require.LessOrEqual(t, busy.Load(), int64(1))
}

// A busy registry is asked again for its ping, too.
func TestBusyPing(t *testing.T) {
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	var n atomic.Int64
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Path != "/v2/" || n.Add(1) > 2 {
			return false
		}
		http.Error(w, "{}", http.StatusServiceUnavailable)
		return true
	}
	_, err := b.fetch(":v1", pull.Options{})
	require.NoError(t, err)
}

// An answer that never ends takes no memory: a ping, an error and a manifest are small or wrong.
func TestEndlessAnswers(t *testing.T) {
	for _, path := range []string{"/v2/", "/manifests/"} {
		t.Run(path, func(t *testing.T) {
			b := newBench(t)
			b.image("v1", amd64, false, threeLayers...)
			var sent atomic.Int64
			b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if !strings.HasSuffix(r.URL.Path, path) && !strings.Contains(r.URL.Path, path+"v1") {
					return false
				}
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				for p := make([]byte, 1<<20); ; sent.Add(1) {
					if _, err := w.Write(p); err != nil {
						return true
					}
				}
			}
			_, _ = b.fetch(":v1", pull.Options{}) // a ping of zeros is as good as any
			require.Less(t, sent.Load(), int64(64), "MiB taken")
		})
	}
}

// foreign is an image whose second layer lies elsewhere, at url.
func (b *bench) foreign(tag, mediaType, url string, second []byte) {
	b.Helper()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	config := ocispec.Image{Platform: amd64, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(threeLayers[0]), digest.FromBytes(second)}}}
	m.Layers = []ocispec.Descriptor{
		b.blob(ocispec.MediaTypeImageLayerGzip, gzipped(threeLayers[0])),
		{MediaType: mediaType, Digest: digest.FromBytes(gzipped(second)), Size: int64(len(gzipped(second))), URLs: []string{url}},
	}
	m.Config = b.blob(ocispec.MediaTypeImageConfig, marshal(config))
	b.upload(tag, m.MediaType, marshal(m))
}

// Layers that may not be passed on come from where the manifest says, and who lives there learns nothing of us.
func TestForeignLayersCVE_2020_15157(t *testing.T) {
	for _, mediaType := range []string{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"} {
		t.Run(mediaType, func(t *testing.T) {
			b := newBench(t)
			var heard atomic.Value
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				heard.Store(r.Header.Get("Authorization") + r.Header.Get("Cookie"))
				if r.Header.Get("Authorization") == "" && r.URL.Query().Get("ask") != "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="give me"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(gzipped(threeLayers[1])))
			}))
			defer elsewhere.Close()
			b.foreign("v1", mediaType, elsewhere.URL+"/layer", threeLayers[1])
			b.foreign("asks", mediaType, elsewhere.URL+"/layer?ask=1", threeLayers[2])
			b.foreign("clear", mediaType, "ftp://example.com/layer", threeLayers[2])
			b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if _, pass, _ := r.BasicAuth(); pass == "secret" {
					return false
				}
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			o := pull.Options{Keychain: keychain{"me", "secret"}}
			img, err := b.fetch(":v1", o)
			require.NoError(t, err)
			require.Empty(t, heard.Load())
			require.Len(t, img.Layers, 2)
			_, err = b.fetch(":asks", o)
			require.Error(t, err)
			require.Empty(t, heard.Load(), "not even when it asks")
			_, err = b.fetch(":clear", o)
			require.ErrorContains(t, err, "no https address")
		})
	}
}

// What a layer may cost is held to when an image is unpacked, and nothing of it is left.
func TestDeclaredLimits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners and mounts")
	}
	b := newBench(t)
	b.image("v1", amd64, true, threeLayers[0], tarOf(entry{name: "zeros", body: strings.Repeat("\x00", 4<<20), typ: '0'}))
	s, err := snapshot.NewOverlay(t.TempDir())
	require.NoError(t, err)
	defer s.Close()
	_, _, err = pull.Pull(t.Context(), b.host+"/app:v1", b.store, s, pull.Options{Limits: layer.Limits{Bytes: 1 << 20}})
	require.ErrorIs(t, err, layer.ErrLimit)
	require.NoError(t, s.Walk(t.Context(), func(i snapshot.Info) error { return fmt.Errorf("left: %q", i.Name) }))
}

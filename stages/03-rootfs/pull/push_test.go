package pull_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/stretchr/testify/require"
)

// strict is a registry in which each repository has its own blobs, as those have that check who may read what.
type strict struct {
	inner http.Handler

	mu    sync.Mutex // guards all below
	has   map[string]bool
	calls []string
	flaky int // how many uploads still fail
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	repo, rest, isBlob := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
	s.calls = append(s.calls, r.Method+" "+repo)
	from := r.URL.Query().Get("from")
	d := r.URL.Query().Get("mount")
	switch {
	case isBlob && r.Method == http.MethodHead && !s.has[repo+" "+rest]:
		w.WriteHeader(http.StatusNotFound)
	case isBlob && r.Method == http.MethodPost && s.has[from+" "+d]:
		s.has[repo+" "+d] = true
		s.calls = append(s.calls, "MOUNT "+from)
		w.WriteHeader(http.StatusCreated)
	case isBlob && r.Method == http.MethodPut && s.flaky > 0:
		s.flaky--
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		if isBlob && r.Method == http.MethodPut {
			s.has[repo+" "+r.URL.Query().Get("digest")] = true
		}
		s.mu.Unlock()
		s.inner.ServeHTTP(w, r)
		return
	}
	s.mu.Unlock()
}

func (s *strict) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	s.calls = nil
	return n
}

// pushRig is a strict registry, and a store with an image of three layers.
func pushRig(t *testing.T) (*strict, string, *content.Store, pull.Image) {
	t.Helper()
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	source := httptest.NewServer(registry.New(quiet))
	t.Cleanup(source.Close)
	s := &strict{inner: registry.New(quiet), has: map[string]bool{}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	tag, err := name.NewTag(strings.TrimPrefix(source.URL, "http://") + "/a:1")
	require.NoError(t, err)
	random, err := random.Image(2000, 3)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, random))
	store, err := content.Open(t.TempDir())
	require.NoError(t, err)
	img, err := pull.Fetch(t.Context(), tag.String(), store, pull.Options{})
	require.NoError(t, err)
	return s, strings.TrimPrefix(web.URL, "http://"), store, img
}

func TestPushMountsFromAnotherRepository(t *testing.T) {
	s, host, store, img := pushRig(t)
	require.NoError(t, pull.Push(t.Context(), host+"/a:1", img.Target, store, nil, pull.Options{}))
	require.Equal(t, 4, s.count("PUT a"), "three layers and the config")
	sources := map[digest.Digest][]string{img.Config.Digest: {"nobody", "a"}}
	for _, l := range img.Layers {
		sources[l.Digest] = []string{"a"}
	}
	require.NoError(t, pull.Push(t.Context(), host+"/b:1", img.Target, store, sources, pull.Options{}))
	require.Zero(t, s.count("PUT b"), "the manifest alone is sent")
	require.NoError(t, pull.Push(t.Context(), host+"/b:2", img.Target, store, sources, pull.Options{}))
	require.Zero(t, s.count("POST b"))

	back, err := content.Open(t.TempDir())
	require.NoError(t, err)
	got, err := pull.Fetch(t.Context(), host+"/a:1", back, pull.Options{})
	require.NoError(t, err)
	require.Equal(t, img.Manifest, got.Manifest)
}

func TestPushTriesAgain(t *testing.T) {
	s, host, store, img := pushRig(t)
	s.flaky = 2
	require.NoError(t, pull.Push(t.Context(), host+"/a:1", img.Target, store, nil, pull.Options{}))
}

// What the disk has spoiled is found before the registry has all of it, and no name is given.
func TestPushHoldsAgainstDigests(t *testing.T) {
	_, host, store, img := pushRig(t)
	path := filepath.Join(store.Dir(), "blobs/sha256", img.Layers[1].Digest.Encoded())
	p, err := os.ReadFile(path)
	require.NoError(t, err)
	p[100] ^= 1
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, p, 0o600))
	err = pull.Push(t.Context(), host+"/a:1", img.Target, store, nil, pull.Options{})
	require.ErrorIs(t, err, pull.ErrDigest)
	require.ErrorContains(t, err, img.Layers[1].Digest.String())
	_, err = pull.Fetch(t.Context(), host+"/a:1", store, pull.Options{})
	require.ErrorIs(t, err, pull.ErrNotFound)
}

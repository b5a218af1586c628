package pull_test

import (
	"archive/tar"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

// Several pulls of one image at once download each blob once and unpack each layer to one snapshot.
func TestTogether(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners")
	}
	b := newBench(t)
	b.image("v1", amd64, false, threeLayers...)
	b.tamper = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			time.Sleep(20 * time.Millisecond)
		}
		return false
	}
	s, err := snapshot.NewOverlay(t.TempDir())
	require.NoError(t, err)
	defer s.Close()
	const n = 4
	results := make(chan error, n)
	for range n {
		go func() {
			img, err := b.fetch(":v1", pull.Options{})
			if err == nil {
				_, err = pull.Unpack(t.Context(), img, b.store, s, pull.Options{})
			}
			results <- err
		}()
	}
	for range n {
		err = errors.Join(err, <-results)
	}
	require.NoError(t, err)
	require.Equal(t, int64(4), b.gets.Load(), "a config and three layers")
	count := 0
	require.NoError(t, s.Walk(t.Context(), func(snapshot.Info) error { count++; return nil }))
	require.Equal(t, 3, count)
	b.noIngests()
}

// What an earlier pull left is continued; when it was no good, the blob is fetched anew.
func TestLeftIngest(t *testing.T) {
	big := tarOf(entry{name: "f", body: noise(1 << 20), typ: tar.TypeReg})
	blob := gzipped(big)
	for name, half := range map[string][]byte{"good": blob[:1000], "bad": make([]byte, 1000), "longer than the blob": make([]byte, len(blob)+1)} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.image("v1", amd64, true, big)
			d := digest.FromBytes(blob)
			w, err := b.store.Writer("blob-"+d.String(), 0, d)
			require.NoError(t, err)
			_, err = w.Write(half)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			_, err = b.fetch(":v1", pull.Options{})
			require.NoError(t, err)
			_, err = b.store.Info(d)
			require.NoError(t, err)
			b.noIngests()
		})
	}
}

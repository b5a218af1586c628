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
			_, _, err := pull.Pull(t.Context(), b.host+"/app:v1", b.store, s, pull.Options{})
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

// When a download fails, what was unpacked meanwhile is gone too.
func TestPullLeavesNoSnapshots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners")
	}
	b := newBench(t)
	b.image("v1", amd64, true, threeLayers...)
	victim := digest.FromBytes(gzipped(threeLayers[2]))
	b.tamper = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !isBlob(r, victim) {
			return false
		}
		time.Sleep(200 * time.Millisecond) // the others are committed by then
		_, _ = w.Write(make([]byte, len(gzipped(threeLayers[2]))))
		return true
	}
	s, err := snapshot.NewOverlay(t.TempDir())
	require.NoError(t, err)
	defer s.Close()
	_, _, err = pull.Pull(t.Context(), b.host+"/app:v1", b.store, s, pull.Options{})
	require.ErrorIs(t, err, pull.ErrDigest)
	require.NoError(t, s.Walk(t.Context(), func(i snapshot.Info) error { t.Errorf("left: %q", i.Name); return nil }))
	b.tamper = nil
	img, chain, err := pull.Pull(t.Context(), b.host+"/app:v1", b.store, s, pull.Options{})
	require.NoError(t, err)
	require.Equal(t, pull.ChainIDs(img.DiffIDs)[2].String(), chain)
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

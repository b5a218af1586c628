package content_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T) *content.Store {
	t.Helper()
	s, err := content.Open(t.TempDir())
	require.NoError(t, err)
	return s
}

func put(t *testing.T, s *content.Store, text string) digest.Digest {
	t.Helper()
	w, err := s.Writer("put-"+text, 0, "")
	require.NoError(t, err)
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	d, err := w.Commit(int64(len(text)), "")
	require.NoError(t, err)
	return d
}

func TestWriteAndRead(t *testing.T) {
	s := open(t)
	d := put(t, s, "hello")
	require.Equal(t, digest.FromString("hello"), d)

	info, err := s.Info(d)
	require.NoError(t, err)
	require.Equal(t, int64(5), info.Size)
	r, err := s.ReaderAt(d)
	require.NoError(t, err)
	defer r.Close()
	p := make([]byte, 3)
	_, err = r.ReadAt(p, 1)
	require.NoError(t, err)
	require.Equal(t, "ell", string(p))
	require.FileExists(t, filepath.Join(s.Dir(), "blobs", "sha256", d.Encoded()))
	left, err := os.ReadDir(filepath.Join(s.Dir(), "ingest"))
	require.NoError(t, err)
	require.Empty(t, left, "a committed ingest leaves nothing")
}

func TestOtherAlgorithm(t *testing.T) {
	s := open(t)
	want := digest.SHA512.FromString("hello")
	w, err := s.Writer("a", 0, "") // hashed as sha256 at first
	require.NoError(t, err)
	_, err = io.WriteString(w, "hello")
	require.NoError(t, err)
	d, err := w.Commit(5, want)
	require.NoError(t, err)
	require.Equal(t, want, d)
	var seen []digest.Digest
	require.NoError(t, s.Walk(func(i content.Info) error { seen = append(seen, i.Digest); return nil }))
	require.Equal(t, []digest.Digest{want}, seen)
}

// A digest is checked before it becomes a path (CVE-2024-3727).
func TestHostileDigests(t *testing.T) {
	s := open(t)
	secret := filepath.Join(s.Dir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("x"), 0o600))
	for _, d := range []string{
		"", "sha256:", "sha256:../../secret", "../secret:abc", "sha256:" + strings.Repeat("Z", 64),
		"sha256:" + strings.Repeat("a", 63), "sha256:" + strings.Repeat("A", 64), "md5:" + strings.Repeat("a", 32), "sha256:\x00",
	} {
		_, err := s.Info(digest.Digest(d))
		require.ErrorIs(t, err, content.ErrInvalid, d)
		_, err = s.ReaderAt(digest.Digest(d))
		require.ErrorIs(t, err, content.ErrInvalid, d)
		require.ErrorIs(t, s.Delete(digest.Digest(d)), content.ErrInvalid, d)
		if d != "" {
			_, err = s.Writer("r", 0, digest.Digest(d))
			require.ErrorIs(t, err, content.ErrInvalid, d)
		}
	}
	require.FileExists(t, secret)
}

func TestCommitVerifies(t *testing.T) {
	tests := map[string]struct {
		total, size       int64
		expected, promise digest.Digest
	}{
		"size at commit":   {size: 4},
		"size at open":     {total: 6},
		"digest at commit": {expected: digest.FromString("other")},
		"digest at open":   {promise: digest.FromString("other")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			w, err := s.Writer("r", tt.total, tt.promise)
			require.NoError(t, err)
			defer w.Close()
			_, err = io.WriteString(w, "hello")
			require.NoError(t, err)
			_, err = w.Commit(tt.size, tt.expected)
			require.ErrorIs(t, err, content.ErrDigest)
			_, err = s.Info(digest.FromString("hello"))
			require.ErrorIs(t, err, content.ErrNotFound, "nothing may be published")
		})
	}
}

func TestResume(t *testing.T) {
	s := open(t)
	want := digest.FromString("hello world")
	w, err := s.Writer("layer/with\x00bytes", 11, want)
	require.NoError(t, err)
	_, err = io.WriteString(w, "hello ")
	require.NoError(t, err)

	_, err = s.Writer("layer/with\x00bytes", 11, want)
	require.ErrorIs(t, err, content.ErrLocked, "one writer for each ref")
	require.ErrorIs(t, s.Abort("layer/with\x00bytes"), content.ErrLocked)
	require.NoError(t, w.Close())

	st, err := s.Status("layer/with\x00bytes")
	require.NoError(t, err)
	require.Equal(t, [3]any{int64(6), int64(11), want}, [3]any{st.Offset, st.Total, st.Expected})

	w, err = s.Writer("layer/with\x00bytes", 0, "")
	require.NoError(t, err)
	require.Equal(t, int64(6), w.Status().Offset)
	_, err = io.WriteString(w, "WORLD")
	require.NoError(t, err)
	_, err = w.Commit(11, want)
	require.ErrorIs(t, err, content.ErrDigest)
	require.NoError(t, w.Truncate(6))
	_, err = io.WriteString(w, "world")
	require.NoError(t, err)
	d, err := w.Commit(11, want)
	require.NoError(t, err)
	require.Equal(t, want, d)
	_, err = s.Status("layer/with\x00bytes")
	require.ErrorIs(t, err, content.ErrNotFound)
}

func TestExistsAbortDelete(t *testing.T) {
	s := open(t)
	d := put(t, s, "twice")
	_, err := s.Writer("again", 0, d)
	require.ErrorIs(t, err, content.ErrExists)
	w, err := s.Writer("again", 0, "")
	require.NoError(t, err)
	_, err = io.WriteString(w, "twice")
	require.NoError(t, err)
	_, err = w.Commit(0, "")
	require.ErrorIs(t, err, content.ErrExists)
	all, err := s.Statuses()
	require.NoError(t, err)
	require.Empty(t, all)

	w, err = s.Writer("half", 0, "")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, s.Abort("half"))
	require.ErrorIs(t, s.Abort("half"), content.ErrNotFound)
	require.NoError(t, s.Delete(d))
	require.ErrorIs(t, s.Delete(d), content.ErrNotFound)
}

func TestWalkPassesOverStrangers(t *testing.T) {
	s := open(t)
	d := put(t, s, "a")
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), "blobs", "sha256", "notes.txt"), nil, 0o600))
	var seen []digest.Digest
	require.NoError(t, s.Walk(func(i content.Info) error { seen = append(seen, i.Digest); return nil }))
	require.Equal(t, []digest.Digest{d}, seen)
	stop := errors.New("stop")
	require.ErrorIs(t, s.Walk(func(content.Info) error { return stop }), stop)
}

// Any two digests give two different files, and no digest leads out of blobs.
func FuzzDigestPath(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("a", 64))
	f.Add("sha256:../../../etc/passwd")
	f.Fuzz(func(t *testing.T, d string) {
		s, err := content.Open(t.TempDir())
		require.NoError(t, err)
		_, err = s.Info(digest.Digest(d))
		require.Error(t, err)
		require.True(t, errors.Is(err, content.ErrInvalid) || errors.Is(err, content.ErrNotFound), "%v", err)
	})
}

func BenchmarkWrite(b *testing.B) {
	s, err := content.Open(b.TempDir())
	require.NoError(b, err)
	p := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	b.SetBytes(int64(len(p)) * 16)
	for b.Loop() {
		w, err := s.Writer("bench", 0, "")
		require.NoError(b, err)
		for range 16 {
			_, err = w.Write(p)
			require.NoError(b, err)
		}
		d, err := w.Commit(0, "")
		require.NoError(b, err)
		require.NoError(b, s.Delete(d))
	}
}

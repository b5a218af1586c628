package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// heard keeps what was published.
type heard struct {
	mu     sync.Mutex
	topics []string
}

func (h *heard) Publish(ns, topic string, _ proto.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics = append(h.topics, ns+topic)
	return nil
}

// newStore makes one below dir; the overlay snapshotter makes directories only,
// so no root is needed.
func newStore(t testing.TB, dir string) *Store {
	t.Helper()
	db, err := meta.Open(filepath.Join(dir, "meta.db"))
	require.NoError(t, err)
	blobs, err := content.Open(filepath.Join(dir, "content"))
	require.NoError(t, err)
	overlay, err := snapshot.NewOverlay(filepath.Join(dir, "snapshots"))
	require.NoError(t, err)
	t.Cleanup(func() {
		overlay.Close()
		db.Close()
	})
	return &Store{
		DB: db, Blobs: blobs, Events: &heard{}, Now: time.Now,
		Snapshotters: map[string]snapshot.Snapshotter{DefaultSnapshotter: overlay},
	}
}

func put(t testing.TB, sp Space, text string) digest.Digest {
	t.Helper()
	w, err := sp.Write("ref-"+text, 0, "")
	require.NoError(t, err)
	_, err = w.Write([]byte(text))
	require.NoError(t, err)
	d, err := w.Commit(0, digest.FromString(text), nil)
	teach.Begun(t, err)
	require.NoError(t, err)
	return d
}

func lease(t testing.TB, sp Space, id string) Space {
	t.Helper()
	sp, err := sp.TempLease(id, sp.Now().Add(time.Hour).Format(time.RFC3339))
	require.NoError(t, err)
	return sp
}

// TestCommit is the test of mgr.store.
func TestCommit(t *testing.T) {
	s := newStore(t, t.TempDir())
	a, b := s.In("a", ""), s.In("b", "")
	d := put(t, a, "layer")
	diag := teach.Diagnosis{Exercise: "mgr.store", Title: "a blob is written once and named by each who brings it", Read: "docs/06-manager.md#names"}

	// Both began before either had it, so both wrote it all.
	w, err := b.Write("mine", 0, "")
	require.NoError(t, err)
	_, err = w.Write([]byte("layer"))
	require.NoError(t, err)
	_, err = w.Commit(0, d, nil)
	teach.Begun(t, err)
	if _, ierr := b.ContentInfo(d); err != nil || ierr != nil {
		diag.Code, diag.Did = "MGR-STORE-1", "committed a blob in namespace a, then the same bytes in namespace b"
		diag.Saw, diag.Want = "b's Commit: "+text(err)+"\nb's Info: "+text(ierr), "both nil: b has brought the bytes, so b may see them"
		diag.Means = "the content store says \"already exists\" because the bytes are on disk. For this namespace the blob is new all the same: what is missing is only its name."
		diag.Try = "slipctl -n a content ls; slipctl -n b content ls"
		teach.Fail(t, diag)
	}

	leased := lease(t, s.In("a", ""), "pull")
	kept := put(t, leased, "not yet an image")
	_, err = s.Collect(t.Context())
	teach.Begun(t, err)
	require.NoError(t, err)
	if _, err := a.ContentInfo(kept); err != nil {
		diag.Code, diag.Did = "MGR-STORE-2", "committed a blob under a lease, as a pull does, and collected garbage"
		diag.Saw, diag.Want = "Info: "+text(err), "the blob: its lease holds it until the image has a name"
		diag.Means = "nothing refers to the blobs of a pull under way but its lease. Commit must add what it makes to the request's lease, in the same transaction, or a collection in between takes it."
		diag.Try = "slipctl leases ls   while an image is pulled"
		teach.Fail(t, diag)
	}
	require.NoError(t, leased.EndLease())
}

func text(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}

// TestBlobOutlivesOneNamespace: the bytes go with the last name.
func TestBlobOutlivesOneNamespace(t *testing.T) {
	s := newStore(t, t.TempDir())
	d := put(t, s.In("a", ""), "shared")
	// b proves that it knows the digest, and needs no bytes.
	_, err := s.In("b", "").Write("r", 0, d)
	require.True(t, fault.Is(err, fault.AlreadyExists), "%v", err)
	require.NoError(t, s.In("a", "").DeleteContent(d))
	_, err = s.In("a", "").ReadContent(d)
	require.True(t, fault.Is(err, fault.NotFound))
	r, err := s.In("b", "").ReadContent(d)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, s.In("b", "").DeleteContent(d))
	_, err = s.Blobs.Info(d)
	require.ErrorIs(t, err, content.ErrNotFound)
}

// TestSameKeyTwice: "web" in two namespaces are two snapshots.
func TestSameKeyTwice(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx := t.Context()
	var sources []string
	for _, ns := range []string{"a", "b"} {
		sn, err := s.In(ns, "").Snapshots(DefaultSnapshotter)
		require.NoError(t, err)
		mounts, err := sn.Prepare(ctx, "web", "", nil)
		require.NoError(t, err)
		sources = append(sources, mounts[0].Source)
		_, err = sn.Prepare(ctx, "web", "", nil)
		require.True(t, fault.Is(err, fault.AlreadyExists))
		require.ErrorIs(t, err, snapshot.ErrExists)
	}
	require.NotEqual(t, sources[0], sources[1])
	require.Empty(t, s.Check(ctx))
}

func TestSnapshotLife(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx := t.Context()
	sn, err := s.In("a", "").Snapshots(DefaultSnapshotter)
	require.NoError(t, err)
	_, err = sn.Prepare(ctx, "work", "", nil)
	require.NoError(t, err)
	require.NoError(t, sn.Commit(ctx, "base", "work", map[string]string{"k": "v"}))
	_, err = sn.Stat(ctx, "work")
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	_, err = sn.Prepare(ctx, "web", "base", nil)
	require.NoError(t, err)
	info, err := sn.Stat(ctx, "web")
	require.NoError(t, err)
	require.Equal(t, "base", info.Parent)
	require.Equal(t, snapshot.Active, info.Kind)
	info, err = sn.Update(ctx, snapshot.Info{Name: "base", Labels: map[string]string{"x": "y"}}, "labels.x")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v", "x": "y"}, info.Labels)
	require.True(t, fault.Is(sn.Remove(ctx, "base"), fault.FailedPrecondition))
	require.NoError(t, sn.Remove(ctx, "web"))
	require.NoError(t, sn.Remove(ctx, "base"))
	_, err = sn.Prepare(ctx, "x", "gone", nil)
	require.True(t, fault.Is(err, fault.NotFound))
	require.Empty(t, s.Check(ctx))
}

// TestCollect: an image keeps its tree; without its name the disk is freed.
func TestCollect(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx := t.Context()
	sp := lease(t, s.In("a", ""), "l")
	sn, err := sp.Snapshots(DefaultSnapshotter)
	require.NoError(t, err)
	for _, name := range []string{"one", "two"} {
		parent := map[string]string{"two": "one"}[name]
		_, err := sn.Prepare(ctx, "tmp", parent, nil)
		require.NoError(t, err)
		require.NoError(t, sn.Commit(ctx, name, "tmp", nil))
	}
	manifest, config := put(t, sp, "manifest"), put(t, sp, "config")
	require.NoError(t, sp.AdoptContent(manifest, map[string]string{"containerd.io/gc.ref.content.config": config.String()}))
	require.NoError(t, sp.AdoptContent(config, map[string]string{"containerd.io/gc.ref.snapshot.overlayfs": "two"}))
	require.NoError(t, sp.PutImage(&imagesapi.Image{Name: "img", Target: &types.Descriptor{Digest: manifest.String()}}))
	require.NoError(t, sp.EndLease())

	stray := put(t, s.In("a", ""), "stray")
	got, err := s.Collect(ctx)
	require.NoError(t, err)
	require.Equal(t, Collected{Content: 1}, got)
	_, err = s.Blobs.Info(stray)
	require.ErrorIs(t, err, content.ErrNotFound)

	require.NoError(t, s.DB.Update("a", func(tx *meta.Tx) error { return tx.Images().Delete("img") }))
	got, err = s.Collect(ctx)
	require.NoError(t, err)
	require.Equal(t, Collected{Content: 2, Snapshots: 2}, got)
	left := 0
	require.NoError(t, s.Snapshotters[DefaultSnapshotter].Walk(ctx, func(snapshot.Info) error { left++; return nil }))
	require.Zero(t, left)
	require.Empty(t, s.Check(ctx))
}

func TestLeases(t *testing.T) {
	s := newStore(t, t.TempDir())
	now := time.Now()
	s.Now = func() time.Time { return now }
	sp := lease(t, s.In("a", ""), "l")
	d := put(t, sp, "held")
	_, err := s.Collect(t.Context())
	require.NoError(t, err)
	_, err = sp.ContentInfo(d)
	require.NoError(t, err)

	now = now.Add(2 * time.Hour) // the lease expires: what it held goes, and the lease itself
	got, err := s.Collect(t.Context())
	require.NoError(t, err)
	require.Equal(t, Collected{Content: 1, Leases: 1}, got)

	_, err = s.In("a", "gone").Snapshots("none")
	require.True(t, fault.Is(err, fault.NotFound))
	w, err := s.In("a", "gone").Write("r", 0, "")
	require.NoError(t, err)
	_, err = w.Commit(0, "", nil)
	require.True(t, fault.Is(err, fault.NotFound), "a request with an unknown lease: %v", err)
	require.NoError(t, w.Close())
}

// TestPullKeepsBlobs: while a pull is under way no blob is unlinked, since the
// pull may have found it on disk and skipped its download.
func TestPullKeepsBlobs(t *testing.T) {
	s := newStore(t, t.TempDir())
	d := put(t, s.In("a", ""), "reused")
	done := s.Pulling()
	require.NoError(t, s.In("a", "").DeleteContent(d))
	_, err := s.Blobs.Info(d)
	require.NoError(t, err, "still on disk")
	require.NoError(t, s.In("b", "").AdoptContent(d, nil)) // the pull names it
	require.NoError(t, done())
	_, err = s.Blobs.Info(d)
	require.NoError(t, err, "b has named it")
}

// TestReconcile: what a crash left without a name goes; nothing else.
func TestReconcile(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir)
	ctx := t.Context()
	kept := put(t, s.In("a", ""), "kept")
	sn, err := s.In("a", "").Snapshots(DefaultSnapshotter)
	require.NoError(t, err)
	_, err = sn.Prepare(ctx, "kept", "", nil)
	require.NoError(t, err)

	w, err := s.Blobs.Writer("crashed", 0, "")
	require.NoError(t, err)
	_, err = w.Write([]byte("orphan"))
	require.NoError(t, err)
	orphan, err := w.Commit(0, "")
	require.NoError(t, err)
	backend := s.Snapshotters[DefaultSnapshotter]
	_, err = backend.Prepare(ctx, "orphan", "", nil)
	require.NoError(t, err)
	require.NoError(t, backend.Commit(ctx, "orphan-base", "orphan", nil))
	_, err = backend.Prepare(ctx, "orphan-child", "orphan-base", nil)
	require.NoError(t, err)

	dropped, err := s.Reconcile(ctx)
	require.NoError(t, err)
	require.Empty(t, dropped)
	_, err = s.Blobs.Info(orphan)
	require.ErrorIs(t, err, content.ErrNotFound)
	_, err = s.Blobs.Info(kept)
	require.NoError(t, err)
	_, err = sn.Stat(ctx, "kept")
	require.NoError(t, err)
	_, err = backend.Stat(ctx, "orphan-base")
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	require.Empty(t, s.Check(ctx))

	path := filepath.Join(dir, "content", "blobs", "sha256", kept.Encoded())
	require.NoError(t, os.Remove(path))
	require.Len(t, s.Check(ctx), 1, "a name without bytes is found")
	dropped, err = s.Reconcile(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a: content " + kept.String()}, dropped)
	require.Empty(t, s.Check(ctx))
}

// TestCommitKilledHalfWay: on either side of the backend's turn, one of the two
// names has the bytes, and that one stays.
func TestCommitKilledHalfWay(t *testing.T) {
	for _, backendDone := range []bool{false, true} {
		s := newStore(t, t.TempDir())
		ctx := t.Context()
		sn, err := s.In("a", "").Snapshots(DefaultSnapshotter)
		require.NoError(t, err)
		_, err = sn.Prepare(ctx, "work", "", nil)
		require.NoError(t, err)
		// What Commit does up to the kill.
		var old, rec meta.Snapshot
		require.NoError(t, s.DB.Update("a", func(tx *meta.Tx) error {
			if old, err = sn.get(tx, "work"); err != nil {
				return err
			}
			if rec, _, err = sn.draft(tx, "done", "", nil); err != nil {
				return err
			}
			return sn.enter(tx, rec)
		}))
		stays, goes := "work", "done"
		if backendDone {
			require.NoError(t, sn.backend.Commit(ctx, rec.Backend, old.Backend, nil))
			stays, goes = goes, stays
		}
		dropped, err := s.Reconcile(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"a: snapshots/overlayfs " + goes}, dropped)
		_, err = sn.Stat(ctx, stays)
		require.NoError(t, err)
		require.Empty(t, s.Check(ctx))
	}
}

func TestChangeLabels(t *testing.T) {
	have := map[string]string{"a": "1", "b": "2"}
	for _, tc := range []struct {
		name  string
		want  map[string]string
		paths []string
		got   map[string]string
	}{
		{"all", map[string]string{"c": "3"}, nil, map[string]string{"c": "3"}},
		{"one", map[string]string{"a": "9", "c": "3"}, []string{"labels.a"}, map[string]string{"a": "9", "b": "2"}},
		{"remove one", nil, []string{"labels.a"}, map[string]string{"b": "2"}},
		{"replace by name", map[string]string{"c": "3"}, []string{"labels"}, map[string]string{"c": "3"}},
	} {
		got, err := changeLabels(have, tc.want, tc.paths)
		require.NoError(t, err, tc.name)
		require.Equal(t, tc.got, got, tc.name)
	}
	_, err := changeLabels(have, nil, []string{"digest"})
	require.True(t, fault.Is(err, fault.InvalidArgument))
}

// TestCollectorSync: an answer means that a collection began after the question.
func TestCollectorSync(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	c := NewCollector(s, discard())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	for range 5 {
		d := put(t, s.In("a", ""), "x")
		require.NoError(t, c.Sync(ctx))
		_, err := s.Blobs.Info(d)
		require.ErrorIs(t, err, content.ErrNotFound)
	}
	cancel()
	wg.Wait()
	require.ErrorIs(t, c.Sync(ctx), context.Canceled)
}

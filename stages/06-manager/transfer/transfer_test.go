package transfer_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/service"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
	"github.com/slipway-engine/slipway/stages/06-manager/transfer"
)

type rig struct {
	*client.Client
	ctx   context.Context
	store *store.Store
	gc    *store.Collector
	host  string // of a registry on loopback
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	db, err := meta.Open(filepath.Join(dir, "meta.db"))
	require.NoError(t, err)
	blobs, err := content.Open(filepath.Join(dir, "content"))
	require.NoError(t, err)
	overlay, err := snapshot.NewOverlay(filepath.Join(dir, "snapshots"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	s := &store.Store{
		DB: db, Blobs: blobs, Events: &events.Exchange{}, Now: time.Now,
		Snapshotters: map[string]snapshot.Snapshotter{store.DefaultSnapshotter: overlay},
	}
	gc := store.NewCollector(s, log)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { gc.Run(ctx) })
	srv := grpc.NewServer(service.Options(log, ctx)...)
	streams := &transfer.Streams{}
	contentapi.RegisterContentServer(srv, &service.Content{Store: s, GC: gc})
	imagesapi.RegisterImagesServer(srv, &service.Images{Store: s, GC: gc})
	leasesapi.RegisterLeasesServer(srv, &service.Leases{Store: s, GC: gc})
	streamingapi.RegisterStreamingServer(srv, streams)
	transferapi.RegisterTransferServer(srv, &transfer.Server{Store: s, GC: gc, Streams: streams})
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	require.NoError(t, err)
	wg.Go(func() { _ = srv.Serve(l) })
	c, err := client.Dial(sock)
	require.NoError(t, err)
	web := httptest.NewServer(registry.New())
	t.Cleanup(func() {
		web.Close()
		require.NoError(t, c.Close())
		srv.Stop()
		cancel()
		wg.Wait()
		require.NoError(t, errors.Join(overlay.Close(), db.Close()))
	})
	return &rig{Client: c, ctx: client.In(t.Context(), "test"), store: s, gc: gc, host: strings.TrimPrefix(web.URL, "http://")}
}

// push puts a random image into the registry.
func (r *rig) push(t *testing.T, ref string) (string, v1.Image) {
	t.Helper()
	img, err := random.Image(512, 3)
	require.NoError(t, err)
	tag, err := name.NewTag(r.host + "/" + ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, img))
	return tag.String(), img
}

func (r *rig) pull(ref string, progress func(*transfertypes.Progress)) error {
	return r.Pull(r.ctx, &transfertypes.OCIRegistry{Reference: ref},
		&transfertypes.ImageStore{Name: ref, Unpacks: []*transfertypes.UnpackConfiguration{{}}}, progress)
}

func TestPull(t *testing.T) {
	r := newRig(t)
	ref, want := r.push(t, "a:1")
	var mu sync.Mutex
	seen := map[string]bool{}
	require.NoError(t, r.pull(ref, func(p *transfertypes.Progress) {
		mu.Lock()
		defer mu.Unlock()
		seen[p.GetEvent()] = true
	}))
	require.True(t, seen["resolving"] && seen["pull complete"], "%v", seen)

	got, err := r.Images.Get(r.ctx, &imagesapi.GetImageRequest{Name: ref})
	require.NoError(t, err)
	d, err := want.Digest()
	require.NoError(t, err)
	require.Equal(t, d.String(), got.GetImage().GetTarget().GetDigest())

	// The lease of the pull is gone, and a collection finds nothing to take.
	leases, err := r.Leases.List(r.ctx, &leasesapi.ListRequest{})
	require.NoError(t, err)
	require.Empty(t, leases.GetLeases())
	collected, err := r.store.Collect(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Collected{}, collected)
	require.Empty(t, r.store.Check(t.Context()))

	// Again, by another namespace: nothing is fetched, all of it is there.
	other := client.In(t.Context(), "other")
	require.NoError(t, r.Pull(other, &transfertypes.OCIRegistry{Reference: ref}, &transfertypes.ImageStore{Name: ref}, nil))
	_, err = r.Images.Delete(r.ctx, &imagesapi.DeleteImageRequest{Name: ref, Sync: true})
	require.NoError(t, err)
	_, err = r.Content.Info(r.ctx, &contentapi.InfoRequest{Digest: d.String()})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = r.Content.Info(other, &contentapi.InfoRequest{Digest: d.String()})
	require.NoError(t, err)
}

func TestTag(t *testing.T) {
	r := newRig(t)
	ref, _ := r.push(t, "a:1")
	require.NoError(t, r.pull(ref, nil))
	from, err := events.Pack(&transfertypes.ImageStore{Name: ref})
	require.NoError(t, err)
	to, err := events.Pack(&transfertypes.ImageStore{Name: "b:2"})
	require.NoError(t, err)
	_, err = r.Transfer.Transfer(r.ctx, &transferapi.TransferRequest{Source: from, Destination: to})
	require.NoError(t, err)
	a, err := r.store.In("test", "").Image(ref)
	require.NoError(t, err)
	b, err := r.store.In("test", "").Image("b:2")
	require.NoError(t, err)
	require.Equal(t, a.GetTarget().GetDigest(), b.GetTarget().GetDigest())
	_, err = r.Transfer.Transfer(r.ctx, &transferapi.TransferRequest{Source: to})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

// TestRefused: each failure has its own code and leaves nothing behind.
func TestRefused(t *testing.T) {
	r := newRig(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := free.Addr().String()
	require.NoError(t, free.Close())
	for _, tc := range []struct {
		name string
		from *transfertypes.OCIRegistry
		to   *transfertypes.ImageStore
		code codes.Code
	}{
		{"unknown image", &transfertypes.OCIRegistry{Reference: r.host + "/no/such:1"}, &transfertypes.ImageStore{}, codes.NotFound},
		{"no reference", &transfertypes.OCIRegistry{Reference: "NOT VALID"}, &transfertypes.ImageStore{}, codes.InvalidArgument},
		{"nobody there", &transfertypes.OCIRegistry{Reference: nobody + "/a:1"}, &transfertypes.ImageStore{}, codes.Unavailable},
		{"hosts in files", &transfertypes.OCIRegistry{Resolver: &transfertypes.RegistryResolver{HostDir: "/etc/x"}}, &transfertypes.ImageStore{}, codes.Unimplemented},
		{"a header we do not pass on", &transfertypes.OCIRegistry{Resolver: &transfertypes.RegistryResolver{Headers: map[string]string{"X-Y": "z"}}}, &transfertypes.ImageStore{}, codes.Unimplemented},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := r.Pull(r.ctx, tc.from, tc.to, func(*transfertypes.Progress) {})
			require.Equal(t, tc.code, status.Code(err), "%v", err)
			leases, err := r.Leases.List(r.ctx, &leasesapi.ListRequest{})
			require.NoError(t, err)
			require.Empty(t, leases.GetLeases())
			require.NoError(t, r.gc.Sync(t.Context()))
			blobs := 0
			require.NoError(t, r.store.Blobs.Walk(func(content.Info) error { blobs++; return nil }))
			require.Zero(t, blobs)
		})
	}
	ref, _ := r.push(t, "a:1")
	err = r.Pull(r.ctx, &transfertypes.OCIRegistry{Reference: ref}, &transfertypes.ImageStore{
		Unpacks: []*transfertypes.UnpackConfiguration{{Snapshotter: "zfs"}},
	}, nil)
	require.Equal(t, codes.NotFound, status.Code(err))
	require.NoError(t, r.gc.Sync(t.Context()))
	require.NoError(t, r.store.Blobs.Walk(func(i content.Info) error { t.Errorf("left: %s", i.Digest); return nil }))
}

// TestPullsTogether: the same image many times at once, while images are removed
// and garbage is collected all the time.
func TestPullsTogether(t *testing.T) {
	r := newRig(t)
	ref, _ := r.push(t, "a:1")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			ctx := client.In(t.Context(), []string{"one", "two"}[i%2])
			for range 4 {
				err := r.Pull(ctx, &transfertypes.OCIRegistry{Reference: ref},
					&transfertypes.ImageStore{Name: ref, Unpacks: []*transfertypes.UnpackConfiguration{{}}}, nil)
				if err != nil {
					t.Error(err)
				}
				_, err = r.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: ref, Sync: i < 2})
				if err != nil && status.Code(err) != codes.NotFound {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.gc.Sync(t.Context()))
	require.Empty(t, r.store.Check(t.Context()))
	require.NoError(t, r.store.Blobs.Walk(func(i content.Info) error { t.Errorf("left: %s", i.Digest); return nil }))
}

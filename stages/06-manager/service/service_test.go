package service_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/service"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
	"github.com/slipway-engine/slipway/stages/06-manager/task"
)

// serve runs the services on a socket and returns a client of them.
func serve(t *testing.T) (context.Context, *client.Client) {
	t.Helper()
	dir := t.TempDir()
	db, err := meta.Open(filepath.Join(dir, "meta.db"))
	require.NoError(t, err)
	blobs, err := content.Open(filepath.Join(dir, "content"))
	require.NoError(t, err)
	overlay, err := snapshot.NewOverlay(filepath.Join(dir, "snapshots"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	x := &events.Exchange{}
	s := &store.Store{
		DB: db, Blobs: blobs, Events: x, Now: time.Now,
		Snapshotters: map[string]snapshot.Snapshotter{store.DefaultSnapshotter: overlay},
	}
	gc := store.NewCollector(s, log)
	ctx, cancel := context.WithCancel(context.Background())
	collected := make(chan struct{})
	go func() { defer close(collected); gc.Run(ctx) }()
	tasks := &task.Tasks{State: dir, Events: x, Log: log}
	srv := grpc.NewServer(service.Options(log, ctx)...)
	containersapi.RegisterContainersServer(srv, &service.Containers{Store: s, GC: gc, Tasks: tasks})
	contentapi.RegisterContentServer(srv, &service.Content{Store: s, GC: gc})
	eventsapi.RegisterEventsServer(srv, &service.Events{Exchange: x})
	imagesapi.RegisterImagesServer(srv, &service.Images{Store: s, GC: gc})
	leasesapi.RegisterLeasesServer(srv, &service.Leases{Store: s, GC: gc})
	namespacesapi.RegisterNamespacesServer(srv, &service.Namespaces{Store: s})
	snapshotsapi.RegisterSnapshotsServer(srv, &service.Snapshots{Store: s, GC: gc})
	tasksapi.RegisterTasksServer(srv, &service.Tasks{Store: s, Tasks: tasks})
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	require.NoError(t, err)
	go func() { _ = srv.Serve(l) }()
	c, err := client.Dial(sock)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		srv.Stop()
		cancel()
		<-collected
		require.NoError(t, errors.Join(overlay.Close(), db.Close()))
	})
	return client.In(t.Context(), "test"), c
}

func code(t *testing.T, want codes.Code, err error) {
	t.Helper()
	require.Equal(t, want, status.Code(err), "%v", err)
}

// upload writes a blob in pieces of n bytes.
func upload(ctx context.Context, c *client.Client, text string, n int, labels map[string]string) error {
	w, err := c.Content.Write(ctx)
	if err != nil {
		return err
	}
	ref := "ref-" + text[:min(len(text), 8)]
	for at := 0; at < len(text); at += n {
		part := text[at:min(at+n, len(text))]
		if err := w.Send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Ref: ref, Offset: int64(at), Data: []byte(part)}); err != nil {
			return err
		}
		if _, err := w.Recv(); err != nil {
			return err
		}
	}
	err = w.Send(&contentapi.WriteContentRequest{
		Action: contentapi.WriteAction_COMMIT, Ref: ref, Offset: int64(len(text)), Total: int64(len(text)),
		Expected: digest.FromString(text).String(), Labels: labels,
	})
	if err != nil {
		return err
	}
	_, err = w.Recv()
	return err
}

func TestNamespaceHeader(t *testing.T) {
	_, c := serve(t)
	_, err := c.Images.List(context.Background(), &imagesapi.ListImagesRequest{})
	code(t, codes.FailedPrecondition, err)
	_, err = c.Images.List(client.In(context.Background(), "../etc"), &imagesapi.ListImagesRequest{})
	code(t, codes.InvalidArgument, err)
}

func TestContent(t *testing.T) {
	ctx, c := serve(t)
	text := strings.Repeat("0123456789", 200)
	d := digest.FromString(text)
	require.NoError(t, upload(ctx, c, text, 777, map[string]string{"k": "v"}))
	code(t, codes.AlreadyExists, upload(ctx, c, text, 777, nil))

	var got bytes.Buffer
	require.NoError(t, c.Blob(ctx, d.String(), &got))
	require.Equal(t, text, got.String())
	info, err := c.Content.Info(ctx, &contentapi.InfoRequest{Digest: d.String()})
	require.NoError(t, err)
	require.EqualValues(t, 2000, info.GetInfo().GetSize())
	require.Equal(t, map[string]string{"k": "v"}, info.GetInfo().GetLabels())
	up, err := c.Content.Update(ctx, &contentapi.UpdateRequest{
		Info:       &contentapi.Info{Digest: d.String(), Labels: map[string]string{"x": "y"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels.x"}},
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v", "x": "y"}, up.GetInfo().GetLabels())

	r, err := c.Content.Read(ctx, &contentapi.ReadContentRequest{Digest: d.String(), Offset: 1995})
	require.NoError(t, err)
	m, err := r.Recv()
	require.NoError(t, err)
	require.Equal(t, "56789", string(m.GetData()))
	r, err = c.Content.Read(ctx, &contentapi.ReadContentRequest{Digest: d.String(), Offset: 2001})
	require.NoError(t, err)
	_, err = r.Recv()
	code(t, codes.InvalidArgument, err)

	_, err = c.Content.Info(ctx, &contentapi.InfoRequest{Digest: "sha256:../../etc/passwd"})
	code(t, codes.InvalidArgument, err)
	_, err = c.Content.Info(client.In(t.Context(), "other"), &contentapi.InfoRequest{Digest: d.String()})
	code(t, codes.NotFound, err)
	_, err = c.Content.Delete(ctx, &contentapi.DeleteContentRequest{Digest: d.String()})
	require.NoError(t, err)
	_, err = c.Content.Delete(ctx, &contentapi.DeleteContentRequest{Digest: d.String()})
	code(t, codes.NotFound, err)
}

// TestResume: what was written survives a client that went away.
func TestResume(t *testing.T) {
	ctx, c := serve(t)
	first, leave := context.WithCancel(ctx)
	w, err := c.Content.Write(first)
	require.NoError(t, err)
	require.NoError(t, w.Send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Ref: "r", Data: []byte("half")}))
	_, err = w.Recv()
	require.NoError(t, err)
	leave()
	var again contentapi.Content_WriteClient
	require.Eventually(t, func() bool { // until the server has noticed, the ref is locked
		if again, err = c.Content.Write(ctx); err != nil {
			return false
		}
		if again.Send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_STAT, Ref: "r"}) != nil {
			return false
		}
		m, err := again.Recv()
		return err == nil && m.GetOffset() == 4
	}, 5*time.Second, 10*time.Millisecond)
	st, err := c.Content.ListStatuses(ctx, &contentapi.ListStatusesRequest{})
	require.NoError(t, err)
	require.Len(t, st.GetStatuses(), 1)
	require.Equal(t, "r", st.GetStatuses()[0].GetRef())
	require.NoError(t, again.Send(&contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Offset: 9, Data: []byte("x")}))
	_, err = again.Recv()
	code(t, codes.OutOfRange, err)
}

func TestWrongDigest(t *testing.T) {
	ctx, c := serve(t)
	w, err := c.Content.Write(ctx)
	require.NoError(t, err)
	require.NoError(t, w.Send(&contentapi.WriteContentRequest{
		Action: contentapi.WriteAction_COMMIT, Ref: "r", Data: []byte("evil"), Expected: digest.FromString("good").String(),
	}))
	_, err = w.Recv()
	code(t, codes.FailedPrecondition, err)
	l, err := c.Content.List(ctx, &contentapi.ListContentRequest{})
	require.NoError(t, err)
	_, err = l.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestImages(t *testing.T) {
	ctx, c := serve(t)
	require.NoError(t, upload(ctx, c, "manifest", 99, map[string]string{"containerd.io/gc.root": "now"}))
	target := &types.Descriptor{Digest: digest.FromString("manifest").String(), Size: 8, MediaType: "m"}
	created, err := c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "a", Target: target, Labels: map[string]string{"x": "1"}}})
	require.NoError(t, err)
	require.NotNil(t, created.GetImage().GetCreatedAt())
	_, err = c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "a", Target: target}})
	code(t, codes.AlreadyExists, err)
	_, err = c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "b"}})
	code(t, codes.InvalidArgument, err)
	_, err = c.Images.Update(ctx, &imagesapi.UpdateImageRequest{
		Image: &imagesapi.Image{Name: "a", Labels: map[string]string{"y": "2"}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels.y"}},
	})
	require.NoError(t, err)
	_, err = c.Images.Update(ctx, &imagesapi.UpdateImageRequest{
		Image: &imagesapi.Image{Name: "a"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"created_at"}},
	})
	code(t, codes.InvalidArgument, err)
	list, err := c.Images.List(ctx, &imagesapi.ListImagesRequest{Filters: []string{"labels.y==2,name~=^a"}})
	require.NoError(t, err)
	require.Len(t, list.GetImages(), 1)
	require.Equal(t, map[string]string{"x": "1", "y": "2"}, list.GetImages()[0].GetLabels())
	_, err = c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: "a", Target: &types.Descriptor{Digest: "other"}})
	code(t, codes.NotFound, err)
	_, err = c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: "a", Sync: true})
	require.NoError(t, err)
	_, err = c.Content.Info(ctx, &contentapi.InfoRequest{Digest: target.GetDigest()})
	require.NoError(t, err, "gc.root keeps it")
}

// TestImageDeleteFrees: with sync, the answer means that the disk is free.
func TestImageDeleteFrees(t *testing.T) {
	ctx, c := serve(t)
	l, err := c.Leases.Create(ctx, &leasesapi.CreateRequest{ID: "l"})
	require.NoError(t, err)
	held := client.With(ctx, l.GetLease().GetID())
	require.NoError(t, upload(held, c, "manifest", 99, nil))
	d := digest.FromString("manifest").String()
	res, err := c.Leases.ListResources(ctx, &leasesapi.ListResourcesRequest{ID: "l"})
	require.NoError(t, err)
	require.Equal(t, d, res.GetResources()[0].GetID())
	_, err = c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "a", Target: &types.Descriptor{Digest: d}}})
	require.NoError(t, err)
	_, err = c.Leases.Delete(ctx, &leasesapi.DeleteRequest{ID: "l", Sync: true})
	require.NoError(t, err)
	_, err = c.Content.Info(ctx, &contentapi.InfoRequest{Digest: d})
	require.NoError(t, err, "the image keeps it now")
	_, err = c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: "a", Sync: true})
	require.NoError(t, err)
	_, err = c.Content.Info(ctx, &contentapi.InfoRequest{Digest: d})
	code(t, codes.NotFound, err)
}

func TestContainers(t *testing.T) {
	ctx, c := serve(t)
	k := &containersapi.Container{
		ID: "web", Image: "a", Runtime: &containersapi.Container_Runtime{Name: "io.containerd.runc.v2"},
		Spec: &anypb.Any{TypeUrl: "x", Value: []byte("{}")}, Labels: map[string]string{"role": "front"},
	}
	_, err := c.Containers.Create(ctx, &containersapi.CreateContainerRequest{Container: k})
	require.NoError(t, err)
	for id, want := range map[string]codes.Code{"web": codes.AlreadyExists, "../x": codes.InvalidArgument, "": codes.InvalidArgument} {
		bad := &containersapi.Container{ID: id, Runtime: k.GetRuntime(), Spec: k.GetSpec()}
		_, err = c.Containers.Create(ctx, &containersapi.CreateContainerRequest{Container: bad})
		code(t, want, err)
	}
	list, err := c.Containers.List(ctx, &containersapi.ListContainersRequest{Filters: []string{"labels.role==front"}})
	require.NoError(t, err)
	require.Len(t, list.GetContainers(), 1)
	up, err := c.Containers.Update(ctx, &containersapi.UpdateContainerRequest{
		Container:  &containersapi.Container{ID: "web", Extensions: map[string]*anypb.Any{"e": {TypeUrl: "t"}}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"extensions.e"}},
	})
	require.NoError(t, err)
	require.Equal(t, "t", up.GetContainer().GetExtensions()["e"].GetTypeUrl())
	_, err = c.Containers.Update(ctx, &containersapi.UpdateContainerRequest{
		Container:  &containersapi.Container{ID: "web", Runtime: &containersapi.Container_Runtime{Name: "other"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"runtime"}},
	})
	code(t, codes.InvalidArgument, err)
	_, err = c.Tasks.Get(ctx, &tasksapi.GetRequest{ContainerID: "web"})
	code(t, codes.NotFound, err)
	_, err = c.Tasks.Checkpoint(ctx, &tasksapi.CheckpointTaskRequest{ContainerID: "web"})
	code(t, codes.Unimplemented, err)
	_, err = c.Containers.Delete(ctx, &containersapi.DeleteContainerRequest{ID: "web"})
	require.NoError(t, err)
}

func TestSnapshots(t *testing.T) {
	ctx, c := serve(t)
	const o = "overlayfs"
	label := map[string]string{"containerd.io/gc.root": "test"}
	_, err := c.Snapshots.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: o, Key: "k", Labels: label})
	require.NoError(t, err)
	_, err = c.Snapshots.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: o, Name: "base", Key: "k", Labels: label})
	require.NoError(t, err)
	v, err := c.Snapshots.View(ctx, &snapshotsapi.ViewSnapshotRequest{Snapshotter: o, Key: "v", Parent: "base", Labels: label})
	require.NoError(t, err)
	require.NotEmpty(t, v.GetMounts())
	stat, err := c.Snapshots.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: o, Key: "base"})
	require.NoError(t, err)
	require.Equal(t, snapshotsapi.Kind_COMMITTED, stat.GetInfo().GetKind())
	_, err = c.Snapshots.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: "zfs", Key: "base"})
	code(t, codes.NotFound, err)
	_, err = c.Snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: o, Key: "base"})
	code(t, codes.FailedPrecondition, err)
	list, err := c.Snapshots.List(ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: o, Filters: []string{"parent==base"}})
	require.NoError(t, err)
	m, err := list.Recv()
	require.NoError(t, err)
	require.Len(t, m.GetInfo(), 1)
	require.Equal(t, "v", m.GetInfo()[0].GetName())
}

func TestNamespaces(t *testing.T) {
	ctx, c := serve(t)
	got, err := c.Namespaces.Get(ctx, &namespacesapi.GetNamespaceRequest{Name: "new"})
	require.NoError(t, err, "clients ask before the first record")
	require.Empty(t, got.GetNamespace().GetLabels())
	_, err = c.Namespaces.Create(ctx, &namespacesapi.CreateNamespaceRequest{Namespace: &namespacesapi.Namespace{Name: "new", Labels: map[string]string{"a": "b"}}})
	require.NoError(t, err)
	_, err = c.Namespaces.Create(ctx, &namespacesapi.CreateNamespaceRequest{Namespace: &namespacesapi.Namespace{Name: "new"}})
	code(t, codes.AlreadyExists, err)
	up, err := c.Namespaces.Update(ctx, &namespacesapi.UpdateNamespaceRequest{
		Namespace:  &namespacesapi.Namespace{Name: "new", Labels: map[string]string{"c": "d"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels.c", "labels.a"}},
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"c": "d"}, up.GetNamespace().GetLabels())
	_, err = c.Leases.Create(client.In(t.Context(), "new"), &leasesapi.CreateRequest{ID: "l"})
	require.NoError(t, err)
	_, err = c.Namespaces.Delete(ctx, &namespacesapi.DeleteNamespaceRequest{Name: "new"})
	code(t, codes.FailedPrecondition, err)
	_, err = c.Leases.Delete(client.In(t.Context(), "new"), &leasesapi.DeleteRequest{ID: "l"})
	require.NoError(t, err)
	_, err = c.Namespaces.Delete(ctx, &namespacesapi.DeleteNamespaceRequest{Name: "new"})
	require.NoError(t, err)
}

// TestStopping: a subscriber does not keep the server from stopping, and learns why.
func TestStopping(t *testing.T) {
	stopping, stop := context.WithCancel(context.Background())
	defer stop()
	srv := grpc.NewServer(service.Options(slog.New(slog.DiscardHandler), stopping)...)
	eventsapi.RegisterEventsServer(srv, &service.Events{Exchange: &events.Exchange{}})
	sock := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", sock)
	require.NoError(t, err)
	go func() { _ = srv.Serve(l) }()
	c, err := client.Dial(sock)
	require.NoError(t, err)
	defer c.Close()
	sub, err := c.Events.Subscribe(t.Context(), &eventsapi.SubscribeRequest{})
	require.NoError(t, err)
	_, err = sub.Header()
	require.NoError(t, err)
	stop()
	srv.GracefulStop()
	_, err = sub.Recv()
	code(t, codes.Unavailable, err)
}

// TestSubscribe: once the header is there, nothing is missed.
func TestSubscribe(t *testing.T) {
	ctx, c := serve(t)
	sub, err := c.Events.Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: []string{`topic=="/images/create"`}})
	require.NoError(t, err)
	_, err = sub.Header()
	require.NoError(t, err)
	_, err = c.Leases.Create(ctx, &leasesapi.CreateRequest{ID: "l"})
	require.NoError(t, err)
	target := &types.Descriptor{Digest: digest.FromString("x").String()}
	_, err = c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: "a", Target: target}})
	require.NoError(t, err)
	e, err := sub.Recv()
	require.NoError(t, err)
	require.Equal(t, "/images/create", e.GetTopic())
	require.Equal(t, "test", e.GetNamespace())
	_, err = c.Events.Publish(ctx, &eventsapi.PublishRequest{Topic: "nonsense"})
	code(t, codes.InvalidArgument, err)
}

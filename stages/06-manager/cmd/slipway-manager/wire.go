package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	shimevents "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthapi "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/reap"
	"github.com/slipway-engine/slipway/stages/06-manager/service"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
	"github.com/slipway-engine/slipway/stages/06-manager/task"
	"github.com/slipway-engine/slipway/stages/06-manager/transfer"
)

// manager is the wired program: this file is its architecture.
type manager struct {
	log       *slog.Logger
	grpc      *grpc.Server
	ttrpc     *ttrpc.Server
	listeners [2]net.Listener // gRPC, ttrpc
	tasks     *task.Tasks
	reaper    *reap.Reaper
	collector *store.Collector
	closers   []func() error // in the order of making
}

func newManager(ctx context.Context, log *slog.Logger, o options) (_ *manager, err error) {
	m := &manager{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	for _, dir := range []string{o.Root, o.State, filepath.Dir(o.Address)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	exchange := &events.Exchange{}
	s, closeStore, err := openStore(o.Root, exchange)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, closeStore)
	dropped, err := s.Reconcile(ctx)
	if err != nil {
		log.Error("reconcile the store with the disk", "error", err)
	}
	for _, name := range dropped {
		log.Warn("not on disk any more", "name", name)
	}
	uuid, err := identity(filepath.Join(o.Root, "uuid"))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if m.reaper, err = reap.New(); err != nil {
		return nil, err
	}
	m.collector = store.NewCollector(s, log)
	m.tasks = &task.Tasks{
		State: o.State, Events: exchange, Log: log,
		Launch: &shim.Launcher{
			Own: o.Shim, Self: self, Address: o.Address, Runner: m.reaper, Log: shimLog{log},
			Debug: log.Enabled(ctx, slog.LevelDebug),
		},
	}
	if m.ttrpc, err = ttrpc.NewServer(); err != nil {
		return nil, err
	}
	shimevents.RegisterTTRPCEventsService(m.ttrpc, &service.ShimEvents{Exchange: exchange})
	m.grpc = grpc.NewServer(service.Options(log, ctx)...)
	streams := &transfer.Streams{}
	versionapi.RegisterVersionServer(m.grpc, &service.Version{Number: number, Revision: "slipway"})
	introspectionapi.RegisterIntrospectionServer(m.grpc, &service.Introspection{UUID: uuid, Parts: parts(s)})
	namespacesapi.RegisterNamespacesServer(m.grpc, &service.Namespaces{Store: s})
	contentapi.RegisterContentServer(m.grpc, &service.Content{Store: s, GC: m.collector})
	imagesapi.RegisterImagesServer(m.grpc, &service.Images{Store: s, GC: m.collector})
	leasesapi.RegisterLeasesServer(m.grpc, &service.Leases{Store: s, GC: m.collector})
	snapshotsapi.RegisterSnapshotsServer(m.grpc, &service.Snapshots{Store: s, GC: m.collector})
	diffapi.RegisterDiffServer(m.grpc, &service.Diff{Store: s})
	containersapi.RegisterContainersServer(m.grpc, &service.Containers{Store: s, GC: m.collector, Tasks: m.tasks})
	tasksapi.RegisterTasksServer(m.grpc, &service.Tasks{Store: s, Tasks: m.tasks, Shim: o.Shim})
	eventsapi.RegisterEventsServer(m.grpc, &service.Events{Exchange: exchange})
	streamingapi.RegisterStreamingServer(m.grpc, streams)
	transferapi.RegisterTransferServer(m.grpc, &transfer.Server{Store: s, GC: m.collector, Streams: streams})
	healthapi.RegisterHealthServer(m.grpc, health.NewServer())
	return m, m.listen(o.Address)
}

// openStore opens everything below root. The metadata's lock comes first: a
// second manager must not touch the rest.
func openStore(root string, pub store.Publisher) (*store.Store, func() error, error) {
	db, err := meta.Open(filepath.Join(root, "meta.db"))
	if err != nil {
		return nil, nil, err
	}
	blobs, err := content.Open(filepath.Join(root, "content"))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	overlay, err := snapshot.NewOverlay(filepath.Join(root, "snapshots", "overlayfs"))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	native, err := snapshot.NewCopy(filepath.Join(root, "snapshots", "native"))
	if err != nil {
		return nil, nil, errors.Join(err, overlay.Close(), db.Close())
	}
	s := &store.Store{
		DB: db, Blobs: blobs, Events: pub, Now: time.Now,
		Snapshotters: map[string]snapshot.Snapshotter{store.DefaultSnapshotter: overlay, "native": native},
	}
	return s, func() error { return errors.Join(native.Close(), overlay.Close(), db.Close()) }, nil
}

// parts answers for containerd's plugins; its clients look here for the
// snapshotters and the platforms they can unpack for.
func parts(s *store.Store) []*introspectionapi.Plugin {
	platform := []*types.Platform{service.Platform()}
	all := []*introspectionapi.Plugin{
		{Type: "io.containerd.content.v1", ID: "content", Exports: map[string]string{"root": s.Blobs.Dir()}},
		{Type: "io.containerd.metadata.v1", ID: "bolt"},
		{Type: "io.containerd.differ.v1", ID: "walking", Platforms: platform},
		{Type: "io.containerd.runtime.v2", ID: "task", Platforms: platform},
		{Type: "io.containerd.transfer.v1", ID: "local"},
	}
	for name := range s.Snapshotters {
		all = append(all, &introspectionapi.Plugin{Type: "io.containerd.snapshotter.v1", ID: name, Platforms: platform})
	}
	return all
}

// identity reads the store's name, or gives it one.
func identity(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw = []byte(rand.Text())
		err = os.WriteFile(path, raw, 0o600)
	}
	return string(raw), err
}

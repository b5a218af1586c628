package service

import (
	"context"

	api "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Snapshots answers containerd.services.snapshots.v1.
type Snapshots struct {
	api.UnimplementedSnapshotsServer
	Store *store.Store
	GC    *store.Collector
}

func (s *Snapshots) at(ctx context.Context, name string) (*store.Snapshots, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	return sp.Snapshots(name)
}

func fromMounts(mounts []snapshot.Mount) []*types.Mount {
	out := make([]*types.Mount, 0, len(mounts))
	for _, m := range mounts {
		out = append(out, &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	return out
}

func fromInfo(i snapshot.Info) *api.Info {
	return &api.Info{
		Name: i.Name, Parent: i.Parent, Kind: api.Kind(i.Kind), Labels: i.Labels, // stage 3's kinds are in the API's order
		CreatedAt: timestamppb.New(i.Created), UpdatedAt: timestamppb.New(i.Updated),
	}
}

// Prepare makes an active snapshot.
func (s *Snapshots) Prepare(ctx context.Context, r *api.PrepareSnapshotRequest) (*api.PrepareSnapshotResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	mounts, err := sn.Prepare(ctx, r.GetKey(), r.GetParent(), r.GetLabels())
	return &api.PrepareSnapshotResponse{Mounts: fromMounts(mounts)}, err
}

// View makes a read-only one.
func (s *Snapshots) View(ctx context.Context, r *api.ViewSnapshotRequest) (*api.ViewSnapshotResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	mounts, err := sn.View(ctx, r.GetKey(), r.GetParent(), r.GetLabels())
	return &api.ViewSnapshotResponse{Mounts: fromMounts(mounts)}, err
}

// Mounts gives the mounts again.
func (s *Snapshots) Mounts(ctx context.Context, r *api.MountsRequest) (*api.MountsResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	mounts, err := sn.Mounts(ctx, r.GetKey())
	return &api.MountsResponse{Mounts: fromMounts(mounts)}, err
}

// Commit makes an active snapshot immutable, under a new name.
func (s *Snapshots) Commit(ctx context.Context, r *api.CommitSnapshotRequest) (*emptypb.Empty, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	if r.GetParent() != "" {
		return &emptypb.Empty{}, sn.CommitOn(ctx, r.GetName(), r.GetKey(), r.GetParent(), r.GetLabels())
	}
	return &emptypb.Empty{}, sn.Commit(ctx, r.GetName(), r.GetKey(), r.GetLabels())
}

// Remove deletes one that nothing stands on.
func (s *Snapshots) Remove(ctx context.Context, r *api.RemoveSnapshotRequest) (*emptypb.Empty, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, collect(ctx, s.GC, false, sn.Remove(ctx, r.GetKey()))
}

// Stat tells about one.
func (s *Snapshots) Stat(ctx context.Context, r *api.StatSnapshotRequest) (*api.StatSnapshotResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	info, err := sn.Stat(ctx, r.GetKey())
	return &api.StatSnapshotResponse{Info: fromInfo(info)}, err
}

// Update changes labels.
func (s *Snapshots) Update(ctx context.Context, r *api.UpdateSnapshotRequest) (*api.UpdateSnapshotResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	want := snapshot.Info{Name: r.GetInfo().GetName(), Labels: r.GetInfo().GetLabels()}
	info, err := sn.Update(ctx, want, r.GetUpdateMask().GetPaths()...)
	return &api.UpdateSnapshotResponse{Info: fromInfo(info)}, err
}

// List sends those that match, a hundred a message.
func (s *Snapshots) List(r *api.ListSnapshotsRequest, out api.Snapshots_ListServer) error {
	sn, err := s.at(out.Context(), r.GetSnapshotter())
	if err != nil {
		return err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return err
	}
	var found []*api.Info
	err = sn.Walk(out.Context(), func(i snapshot.Info) error {
		if want.Match(filter.Map(map[string]string{"name": i.Name, "parent": i.Parent, "kind": i.Kind.String()}, i.Labels)) {
			found = append(found, fromInfo(i))
		}
		return nil
	})
	for len(found) > 0 && err == nil {
		n := min(len(found), 100)
		err = out.Send(&api.ListSnapshotsResponse{Info: found[:n]})
		found = found[n:]
	}
	return err
}

// Usage tells what one takes on disk.
func (s *Snapshots) Usage(ctx context.Context, r *api.UsageRequest) (*api.UsageResponse, error) {
	sn, err := s.at(ctx, r.GetSnapshotter())
	if err != nil {
		return nil, err
	}
	u, err := sn.Usage(ctx, r.GetKey())
	return &api.UsageResponse{Size: u.Size, Inodes: u.Inodes}, err
}

// Cleanup collects now.
func (s *Snapshots) Cleanup(ctx context.Context, r *api.CleanupRequest) (*emptypb.Empty, error) {
	if _, err := s.at(ctx, r.GetSnapshotter()); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.GC.Sync(ctx)
}

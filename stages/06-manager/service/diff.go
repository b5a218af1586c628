package service

import (
	"context"

	api "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Diff answers containerd.services.diff.v1: layers into snapshots and back.
type Diff struct {
	api.UnimplementedDiffServer
	Store *store.Store
}

func toMounts(mounts []*types.Mount) []snapshot.Mount {
	out := make([]snapshot.Mount, 0, len(mounts))
	for _, m := range mounts {
		out = append(out, snapshot.Mount{Type: m.GetType(), Source: m.GetSource(), Target: m.GetTarget(), Options: m.GetOptions()})
	}
	return out
}

// Apply unpacks a layer into the snapshot whose mounts are given, and answers
// with the descriptor of the uncompressed layer: its digest is the diff id.
func (s *Diff) Apply(ctx context.Context, r *api.ApplyRequest) (*api.ApplyResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	d, err := digest.Parse(r.GetDiff().GetDigest())
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "diff: digest %q: %w", r.GetDiff().GetDigest(), err)
	}
	blob, err := sp.ReadContent(d)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	id, size, err := pull.Apply(ctx, sectionOf(blob), toMounts(r.GetMounts()))
	if err != nil {
		return nil, err
	}
	return &api.ApplyResponse{Applied: &types.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: id.String(), Size: size}}, nil
}

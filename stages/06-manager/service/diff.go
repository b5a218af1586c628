package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"os"
	"strings"

	api "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
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

// Diff writes what changed between two snapshots as a layer into the content
// store. Its label containerd.io/uncompressed is the diff id.
func (s *Diff) Diff(ctx context.Context, r *api.DiffRequest) (*api.DiffResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	mediaType := cmp.Or(r.GetMediaType(), ocispec.MediaTypeImageLayerGzip)
	compress, err := compressor(mediaType)
	if err != nil {
		return nil, err
	}
	w, err := sp.Write(cmp.Or(r.GetRef(), "diff-"+rand.Text()), 0, "")
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := w.Truncate(0); err != nil { // an earlier attempt's
		return nil, err
	}
	packed, err := compress(w)
	if err != nil {
		return nil, err
	}
	plain := digest.Canonical.Digester()
	if err := changes(ctx, toMounts(r.GetLeft()), toMounts(r.GetRight()), io.MultiWriter(packed, plain.Hash())); err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	size := w.Status().Offset
	labels := maps.Clone(r.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels["containerd.io/uncompressed"] = plain.Digest().String()
	d, err := w.Commit(size, "", labels)
	if err != nil && !fault.Is(err, fault.AlreadyExists) {
		return nil, err
	}
	return &api.DiffResponse{Diff: &types.Descriptor{MediaType: mediaType, Digest: d.String(), Size: size}}, nil
}

// changes writes the layer. When the right side is an overlay right on the left
// one, its upper directory is the difference; else both are mounted and compared.
func changes(ctx context.Context, left, right []snapshot.Mount, w io.Writer) error {
	if upper := upperOn(left, right); upper != "" {
		return layer.DiffUpper(ctx, upper, w)
	}
	return mounted(left, func(lower string) error {
		return mounted(right, func(upper string) error { return layer.Diff(ctx, lower, upper, w) })
	})
}

// upperOn gives the upper directory of right if its lower ones are what left shows.
func upperOn(left, right []snapshot.Mount) string {
	if len(left) != 1 || len(right) != 1 || right[0].Type != "overlay" {
		return ""
	}
	below := left[0].Source
	if left[0].Type == "overlay" {
		if option(left[0], "upperdir=") != "" {
			return ""
		}
		below = option(left[0], "lowerdir=")
	}
	if below == "" || below != option(right[0], "lowerdir=") {
		return ""
	}
	return option(right[0], "upperdir=")
}

func option(m snapshot.Mount, prefix string) string {
	for _, o := range m.Options {
		if v, ok := strings.CutPrefix(o, prefix); ok {
			return v
		}
	}
	return ""
}

// mounted shows mounts in a directory for as long as fn runs.
func mounted(mounts []snapshot.Mount, fn func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "slipway-diff-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := snapshot.MountAll(mounts, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.UnmountAll(dir)) }()
	return fn(dir)
}

// compressor chooses by media type.
func compressor(mediaType string) (func(io.Writer) (io.WriteCloser, error), error) {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, "application/vnd.docker.image.rootfs.diff.tar":
		return func(w io.Writer) (io.WriteCloser, error) { return plainWriter{w}, nil }, nil
	case ocispec.MediaTypeImageLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }, nil
	case ocispec.MediaTypeImageLayerZstd:
		return func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }, nil
	}
	return nil, fault.New(fault.Unimplemented, "diff: media type %s is not supported", mediaType)
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

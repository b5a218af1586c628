package service

import (
	"context"
	"maps"
	"strings"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/services/images/v1"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Images answers containerd.services.images.v1: names for digests.
type Images struct {
	api.UnimplementedImagesServer
	Store *store.Store
	GC    *store.Collector
}

// Get finds one.
func (s *Images) Get(ctx context.Context, r *api.GetImageRequest) (*api.GetImageResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	var img *api.Image
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		img, err = tx.Images().Get(r.GetName())
		return err
	})
	return &api.GetImageResponse{Image: img}, err
}

// List gives those that match.
func (s *Images) List(ctx context.Context, r *api.ListImagesRequest) (*api.ListImagesResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return nil, err
	}
	resp := &api.ListImagesResponse{}
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		return tx.Images().Each(func(_ string, img *api.Image) error {
			if want.Match(imageFields(img)) {
				resp.Images = append(resp.Images, img)
			}
			return nil
		})
	})
	return resp, err
}

func imageFields(img *api.Image) filter.Fields {
	return filter.Map(map[string]string{
		"name": img.GetName(), "target.digest": img.GetTarget().GetDigest(), "target.mediatype": img.GetTarget().GetMediaType(),
	}, img.GetLabels())
}

// Create gives a digest a new name. The blob need not be there: containerd
// allows that, and the collector does not mind.
func (s *Images) Create(ctx context.Context, r *api.CreateImageRequest) (*api.CreateImageResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	img := r.GetImage()
	if err := validImage(img); err != nil {
		return nil, err
	}
	now := timestamppb.New(sp.Now())
	img.CreatedAt, img.UpdatedAt = now, now
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Images().Create(img.GetName(), img) })
	return &api.CreateImageResponse{Image: img}, announce(err, func() error {
		return sp.Events.Publish(sp.NS, "/images/create", &events.ImageCreate{Name: img.GetName(), Labels: img.GetLabels()})
	})
}

func validImage(img *api.Image) error {
	if img.GetName() == "" {
		return fault.New(fault.InvalidArgument, "image: name is empty")
	}
	if err := digest.Digest(img.GetTarget().GetDigest()).Validate(); err != nil {
		return fault.New(fault.InvalidArgument, "image %s: target %q: %w", img.GetName(), img.GetTarget().GetDigest(), err)
	}
	return meta.ValidLabels(img.GetLabels())
}

// Update changes what the mask names, or everything without one.
func (s *Images) Update(ctx context.Context, r *api.UpdateImageRequest) (*api.UpdateImageResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	var img *api.Image
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		if img, err = tx.Images().Get(r.GetImage().GetName()); err != nil {
			return err
		}
		if err := changeImage(img, r.GetImage(), r.GetUpdateMask().GetPaths()); err != nil {
			return err
		}
		img.UpdatedAt = timestamppb.New(sp.Now())
		if err := validImage(img); err != nil {
			return err
		}
		return tx.Images().Put(img.GetName(), img)
	})
	return &api.UpdateImageResponse{Image: img}, announce(err, func() error {
		s.GC.Ask() // the old target may have no name any more
		return sp.Events.Publish(sp.NS, "/images/update", &events.ImageUpdate{Name: img.GetName(), Labels: img.GetLabels()})
	})
}

func changeImage(img, want *api.Image, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"target", "labels"}
	}
	for _, p := range paths {
		key, label := strings.CutPrefix(p, "labels.")
		note, annotation := strings.CutPrefix(p, "target.annotations.")
		switch {
		case label:
			img.Labels = withKey(img.GetLabels(), key, want.GetLabels()[key])
		case annotation:
			img.Target.Annotations = withKey(img.GetTarget().GetAnnotations(), note, want.GetTarget().GetAnnotations()[note])
		case p == "labels":
			img.Labels = want.GetLabels()
		case p == "target":
			img.Target = want.GetTarget()
		case p == "target.annotations":
			img.Target.Annotations = want.GetTarget().GetAnnotations()
		default:
			return field("image", p)
		}
	}
	return nil
}

// withKey returns a copy with one key set, or removed when the value is empty.
func withKey(m map[string]string, k, v string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	if v == "" {
		delete(out, k)
	} else {
		out[k] = v
	}
	return out
}

// Delete takes the name away; with a target only if it still stands for that.
// The disk is freed by the collector: at once and before the answer with Sync.
func (s *Images) Delete(ctx context.Context, r *api.DeleteImageRequest) (*emptypb.Empty, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		img, err := tx.Images().Get(r.GetName())
		if err != nil {
			return err
		}
		if r.GetTarget() != nil && !proto.Equal(r.GetTarget(), img.GetTarget()) {
			return fault.New(fault.NotFound, "image %q: does not stand for %s", r.GetName(), r.GetTarget().GetDigest())
		}
		return tx.Images().Delete(r.GetName())
	})
	err = announce(err, func() error {
		return sp.Events.Publish(sp.NS, "/images/delete", &events.ImageDelete{Name: r.GetName()})
	})
	return &emptypb.Empty{}, collect(ctx, s.GC, r.GetSync(), err)
}

// collect asks for a collection after a deletion that succeeded.
func collect(ctx context.Context, c *store.Collector, sync bool, err error) error {
	switch {
	case err != nil:
		return err
	case sync:
		return c.Sync(ctx)
	default:
		c.Ask()
		return nil
	}
}

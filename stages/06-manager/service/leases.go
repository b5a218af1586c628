package service

import (
	"context"
	"crypto/rand"
	"slices"

	api "github.com/containerd/containerd/api/services/leases/v1"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Leases answers containerd.services.leases.v1.
type Leases struct {
	api.UnimplementedLeasesServer
	Store *store.Store
	GC    *store.Collector
}

func toLease(l meta.Lease) *api.Lease {
	return &api.Lease{ID: l.ID, CreatedAt: timestamppb.New(l.Created), Labels: l.Labels}
}

// Create makes a lease; without an id it gets one.
func (s *Leases) Create(ctx context.Context, r *api.CreateRequest) (*api.CreateResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	l := meta.Lease{ID: r.GetID(), Created: sp.Now(), Labels: r.GetLabels()}
	if l.ID == "" {
		l.ID = rand.Text()
	}
	if err := meta.ValidLabels(l.Labels); err != nil {
		return nil, err
	}
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Leases().Create(l.ID, l) })
	return &api.CreateResponse{Lease: toLease(l)}, err
}

// Delete lets go of everything the lease held.
func (s *Leases) Delete(ctx context.Context, r *api.DeleteRequest) (*emptypb.Empty, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Leases().Delete(r.GetID()) })
	return &emptypb.Empty{}, collect(ctx, s.GC, r.GetSync(), err)
}

// List gives those that match.
func (s *Leases) List(ctx context.Context, r *api.ListRequest) (*api.ListResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return nil, err
	}
	resp := &api.ListResponse{}
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		return tx.Leases().Each(func(id string, l meta.Lease) error {
			if want.Match(filter.Map(map[string]string{"id": id}, l.Labels)) {
				resp.Leases = append(resp.Leases, toLease(l))
			}
			return nil
		})
	})
	return resp, err
}

// AddResource makes the lease hold one thing more.
func (s *Leases) AddResource(ctx context.Context, r *api.AddResourceRequest) (*emptypb.Empty, error) {
	return s.change(ctx, r.GetID(), func(l *meta.Lease) {
		res := meta.Resource{Type: r.GetResource().GetType(), ID: r.GetResource().GetID()}
		if !slices.Contains(l.Resources, res) {
			l.Resources = append(l.Resources, res)
		}
	})
}

// DeleteResource makes it hold one thing less.
func (s *Leases) DeleteResource(ctx context.Context, r *api.DeleteResourceRequest) (*emptypb.Empty, error) {
	_, err := s.change(ctx, r.GetID(), func(l *meta.Lease) {
		res := meta.Resource{Type: r.GetResource().GetType(), ID: r.GetResource().GetID()}
		l.Resources = slices.DeleteFunc(l.Resources, func(x meta.Resource) bool { return x == res })
	})
	return &emptypb.Empty{}, collect(ctx, s.GC, false, err)
}

func (s *Leases) change(ctx context.Context, id string, fn func(*meta.Lease)) (*emptypb.Empty, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		l, err := tx.Leases().Get(id)
		if err != nil {
			return err
		}
		fn(&l)
		return tx.Leases().Put(id, l)
	})
}

// ListResources tells what a lease holds.
func (s *Leases) ListResources(ctx context.Context, r *api.ListResourcesRequest) (*api.ListResourcesResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	resp := &api.ListResourcesResponse{}
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		l, err := tx.Leases().Get(r.GetID())
		for _, res := range l.Resources {
			resp.Resources = append(resp.Resources, &api.Resource{ID: res.ID, Type: res.Type})
		}
		return err
	})
	return resp, err
}

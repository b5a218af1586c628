package service

import (
	"context"
	"strings"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
	"github.com/slipway-engine/slipway/stages/06-manager/task"
)

// Containers answers containerd.services.containers.v1: what could run. What
// does run is a task.
type Containers struct {
	api.UnimplementedContainersServer
	Store *store.Store
	GC    *store.Collector
	Tasks *task.Tasks
}

// Get finds one.
func (s *Containers) Get(ctx context.Context, r *api.GetContainerRequest) (*api.GetContainerResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	c, err := getContainer(sp, r.GetID())
	return &api.GetContainerResponse{Container: c}, err
}

func getContainer(sp store.Space, id string) (c *api.Container, err error) {
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		c, err = tx.Containers().Get(id)
		return err
	})
	return c, err
}

// List gives those that match.
func (s *Containers) List(ctx context.Context, r *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	resp := &api.ListContainersResponse{}
	return resp, s.each(ctx, r.GetFilters(), func(c *api.Container) error {
		resp.Containers = append(resp.Containers, c)
		return nil
	})
}

// ListStream gives the same one by one.
func (s *Containers) ListStream(r *api.ListContainersRequest, out api.Containers_ListStreamServer) error {
	return s.each(out.Context(), r.GetFilters(), func(c *api.Container) error {
		return out.Send(&api.ListContainerMessage{Container: c})
	})
}

// each collects first and calls after: a slow client must not hold a transaction open.
func (s *Containers) each(ctx context.Context, filters []string, fn func(*api.Container) error) error {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return err
	}
	want, err := filter.Parse(filters...)
	if err != nil {
		return err
	}
	var found []*api.Container
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		return tx.Containers().Each(func(_ string, c *api.Container) error {
			if want.Match(filter.Map(map[string]string{
				"id": c.GetID(), "image": c.GetImage(), "runtime.name": c.GetRuntime().GetName(),
			}, c.GetLabels())) {
				found = append(found, c)
			}
			return nil
		})
	})
	for _, c := range found {
		if err == nil {
			err = fn(c)
		}
	}
	return err
}

// Create records a container.
func (s *Containers) Create(ctx context.Context, r *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	c := r.GetContainer()
	if err := validContainer(c); err != nil {
		return nil, err
	}
	now := timestamppb.New(sp.Now())
	c.CreatedAt, c.UpdatedAt = now, now
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Containers().Create(c.GetID(), c) })
	return &api.CreateContainerResponse{Container: c}, announce(err, func() error {
		return sp.Events.Publish(sp.NS, "/containers/create", &events.ContainerCreate{
			ID: c.GetID(), Image: c.GetImage(),
			Runtime: &events.ContainerCreate_Runtime{Name: c.GetRuntime().GetName(), Options: c.GetRuntime().GetOptions()},
		})
	})
}

func validContainer(c *api.Container) error {
	if err := meta.ValidName("container", c.GetID()); err != nil {
		return err
	}
	switch {
	case c.GetRuntime().GetName() == "":
		return fault.New(fault.InvalidArgument, "container %s: no runtime", c.GetID())
	case c.GetSpec() == nil:
		return fault.New(fault.InvalidArgument, "container %s: no spec", c.GetID())
	}
	return meta.ValidLabels(c.GetLabels())
}

// Update changes what the mask names, or everything that may change without one.
func (s *Containers) Update(ctx context.Context, r *api.UpdateContainerRequest) (*api.UpdateContainerResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	var c *api.Container
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		if c, err = tx.Containers().Get(r.GetContainer().GetID()); err != nil {
			return err
		}
		if err := changeContainer(c, r.GetContainer(), r.GetUpdateMask().GetPaths()); err != nil {
			return err
		}
		c.UpdatedAt = timestamppb.New(sp.Now())
		if err := validContainer(c); err != nil {
			return err
		}
		return tx.Containers().Put(c.GetID(), c)
	})
	return &api.UpdateContainerResponse{Container: c}, announce(err, func() error {
		s.GC.Ask()
		return sp.Events.Publish(sp.NS, "/containers/update", &events.ContainerUpdate{
			ID: c.GetID(), Image: c.GetImage(), Labels: c.GetLabels(), SnapshotKey: c.GetSnapshotKey(),
		})
	})
}

func changeContainer(c, want *api.Container, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"labels", "spec", "extensions", "image", "snapshotkey", "runtime"}
	}
	for _, p := range paths {
		label, isLabel := strings.CutPrefix(p, "labels.")
		ext, isExt := strings.CutPrefix(p, "extensions.")
		switch {
		case isLabel:
			c.Labels = withKey(c.GetLabels(), label, want.GetLabels()[label])
		case isExt:
			if c.Extensions == nil {
				c.Extensions = map[string]*anypb.Any{}
			}
			c.Extensions[ext] = want.GetExtensions()[ext]
		case p == "labels":
			c.Labels = want.GetLabels()
		case p == "extensions":
			c.Extensions = want.GetExtensions()
		case p == "spec":
			c.Spec = want.GetSpec()
		case p == "image":
			c.Image = want.GetImage()
		case p == "snapshotkey" || p == "snapshot_key":
			c.SnapshotKey, c.Snapshotter = want.GetSnapshotKey(), want.GetSnapshotter()
		case p == "runtime" && c.GetRuntime().GetName() == want.GetRuntime().GetName():
			c.Runtime = want.GetRuntime() // its options; the name is for life
		default:
			return field("container", p)
		}
	}
	return nil
}

// Delete forgets a container that has no task.
func (s *Containers) Delete(ctx context.Context, r *api.DeleteContainerRequest) (*emptypb.Empty, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	if _, err := s.Tasks.Get(sp.NS, r.GetID()); err == nil {
		return nil, fault.New(fault.FailedPrecondition, "container %s: still has a task", r.GetID())
	}
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Containers().Delete(r.GetID()) })
	err = announce(err, func() error {
		return sp.Events.Publish(sp.NS, "/containers/delete", &events.ContainerDelete{ID: r.GetID()})
	})
	return &emptypb.Empty{}, collect(ctx, s.GC, false, err)
}

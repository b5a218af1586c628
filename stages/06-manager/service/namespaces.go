package service

import (
	"context"
	"strings"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/services/namespaces/v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Namespaces answers containerd.services.namespaces.v1.
type Namespaces struct {
	api.UnimplementedNamespacesServer
	Store *store.Store
}

// Get answers for a namespace that does not exist as for one without labels: a
// namespace comes into being with its first record, and clients ask before that.
func (n *Namespaces) Get(_ context.Context, r *api.GetNamespaceRequest) (*api.GetNamespaceResponse, error) {
	ns, err := n.read(r.GetName())
	return &api.GetNamespaceResponse{Namespace: ns}, err
}

func (n *Namespaces) read(name string) (*api.Namespace, error) {
	ns := &api.Namespace{Name: name, Labels: map[string]string{}}
	err := n.Store.DB.View(name, func(tx *meta.Tx) error { return readLabels(tx, ns.Labels) })
	return ns, err
}

func readLabels(tx *meta.Tx, into map[string]string) error {
	return tx.Labels().Each(func(k, v string) error {
		into[k] = v
		return nil
	})
}

// List gives all, or those that match the filter.
func (n *Namespaces) List(_ context.Context, r *api.ListNamespacesRequest) (*api.ListNamespacesResponse, error) {
	want, err := filter.Parse(r.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &api.ListNamespacesResponse{}
	err = n.Store.DB.Each(func(name string, tx *meta.Tx) error {
		ns := &api.Namespace{Name: name, Labels: map[string]string{}}
		if err := readLabels(tx, ns.Labels); err != nil {
			return err
		}
		if want.Match(filter.Map(map[string]string{"name": name}, ns.Labels)) {
			resp.Namespaces = append(resp.Namespaces, ns)
		}
		return nil
	})
	return resp, err
}

// Create makes a namespace that must be new.
func (n *Namespaces) Create(_ context.Context, r *api.CreateNamespaceRequest) (*api.CreateNamespaceResponse, error) {
	ns := r.GetNamespace()
	exists := false
	err := n.Store.DB.Each(func(name string, _ *meta.Tx) error {
		exists = exists || name == ns.GetName()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if exists {
		return nil, fault.New(fault.AlreadyExists, "namespace %s: already exists", ns.GetName())
	}
	err = n.write(ns.GetName(), ns.GetLabels(), nil)
	return &api.CreateNamespaceResponse{Namespace: ns}, announce(err, func() error {
		return n.Store.Events.Publish(ns.GetName(), "/namespaces/create", &events.NamespaceCreate{Name: ns.GetName(), Labels: ns.GetLabels()})
	})
}

// Update changes labels.
func (n *Namespaces) Update(_ context.Context, r *api.UpdateNamespaceRequest) (*api.UpdateNamespaceResponse, error) {
	name := r.GetNamespace().GetName()
	if err := n.write(name, r.GetNamespace().GetLabels(), r.GetUpdateMask().GetPaths()); err != nil {
		return nil, err
	}
	ns, err := n.read(name)
	return &api.UpdateNamespaceResponse{Namespace: ns}, announce(err, func() error {
		return n.Store.Events.Publish(name, "/namespaces/update", &events.NamespaceUpdate{Name: name, Labels: ns.GetLabels()})
	})
}

// write sets labels: those that the mask names, or all that are given. An empty
// value removes one.
func (n *Namespaces) write(name string, labels map[string]string, paths []string) error {
	if err := meta.ValidLabels(labels); err != nil {
		return err
	}
	change := labels
	if len(paths) > 0 {
		change = map[string]string{}
		for _, p := range paths {
			key, one := strings.CutPrefix(p, "labels.")
			if one {
				change[key] = labels[key]
			} else if p == "labels" {
				change = labels
			} else {
				return field("namespace", p)
			}
		}
	}
	return n.Store.DB.Update(name, func(tx *meta.Tx) error {
		for k, v := range change {
			if err := putLabel(tx.Labels(), k, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func putLabel(table meta.Table[string], k, v string) error {
	if v != "" {
		return table.Put(k, v)
	}
	if table.Has(k) {
		return table.Delete(k)
	}
	return nil
}

// Delete removes an empty namespace.
func (n *Namespaces) Delete(_ context.Context, r *api.DeleteNamespaceRequest) (*emptypb.Empty, error) {
	err := n.Store.DB.DeleteNamespace(r.GetName())
	return &emptypb.Empty{}, announce(err, func() error {
		return n.Store.Events.Publish(r.GetName(), "/namespaces/delete", &events.NamespaceDelete{Name: r.GetName()})
	})
}

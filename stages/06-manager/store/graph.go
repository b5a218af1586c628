package store

import (
	"strings"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"

	"github.com/slipway-engine/slipway/stages/06-manager/gc"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// The labels of containerd's garbage collector (docs/garbage-collection.md there).
const (
	labelRoot    = "containerd.io/gc.root"
	labelExpire  = "containerd.io/gc.expire"
	labelFlat    = "containerd.io/gc.flat"
	labelContent = "containerd.io/gc.ref.content"
	labelImage   = "containerd.io/gc.ref.image"
	labelSnap    = "containerd.io/gc.ref.snapshot."
)

// graph collects what refers to what.
type graph struct {
	gc.Graph
	now time.Time
}

// buildGraph reads it from all namespaces at one moment.
func buildGraph(now time.Time, each func(func(string, *meta.Tx) error) error) (gc.Graph, error) {
	g := &graph{Graph: gc.Graph{Edges: map[gc.Node][]gc.Node{}}, now: now}
	err := each(g.namespace)
	return g.Graph, err
}

func (g *graph) namespace(ns string, tx *meta.Tx) error {
	for _, visit := range []func(string, *meta.Tx) error{g.images, g.containers, g.leases, g.content, g.snapshots} {
		if err := visit(ns, tx); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) root(n gc.Node) { g.Roots = append(g.Roots, n) }

func (g *graph) edge(from gc.Node, t gc.Type, key string) {
	if key != "" {
		g.Edges[from] = append(g.Edges[from], gc.Node{Namespace: from.Namespace, Type: t, Key: key})
	}
}

func (g *graph) images(ns string, tx *meta.Tx) error {
	return tx.Images().Each(func(name string, v *imagesapi.Image) error {
		n := gc.Node{Namespace: ns, Type: gc.Image, Key: name}
		g.root(n)
		g.edge(n, gc.Content, v.GetTarget().GetDigest())
		g.refs(n, v.GetLabels())
		return nil
	})
}

func (g *graph) containers(ns string, tx *meta.Tx) error {
	return tx.Containers().Each(func(id string, v *containersapi.Container) error {
		n := gc.Node{Namespace: ns, Type: gc.Container, Key: id}
		g.root(n)
		if v.GetSnapshotter() != "" {
			g.edge(n, gc.Snapshot(v.GetSnapshotter()), v.GetSnapshotKey())
		}
		g.refs(n, v.GetLabels())
		return nil
	})
}

// leases: one that has expired holds nothing; a flat one holds only what it
// names and not what that refers to.
func (g *graph) leases(ns string, tx *meta.Tx) error {
	return tx.Leases().Each(func(id string, v meta.Lease) error {
		n := gc.Node{Namespace: ns, Type: gc.Lease, Key: id}
		g.All = append(g.All, n)
		if expired(v.Labels, g.now) {
			return nil
		}
		g.root(n)
		_, flat := v.Labels[labelFlat]
		for _, r := range v.Resources {
			if flat {
				g.Flat = append(g.Flat, gc.Node{Namespace: ns, Type: gc.Type(r.Type), Key: r.ID})
			} else {
				g.edge(n, gc.Type(r.Type), r.ID)
			}
		}
		return nil
	})
}

func (g *graph) content(ns string, tx *meta.Tx) error {
	return tx.Content().Each(func(d string, v *contentapi.Info) error {
		g.item(gc.Node{Namespace: ns, Type: gc.Content, Key: d}, v.GetLabels())
		return nil
	})
}

func (g *graph) snapshots(ns string, tx *meta.Tx) error {
	for _, name := range tx.Snapshotters() {
		err := tx.Snapshots(name).Each(func(key string, v meta.Snapshot) error {
			n := gc.Node{Namespace: ns, Type: gc.Snapshot(name), Key: key}
			g.item(n, v.Labels)
			g.edge(n, gc.Snapshot(name), v.Parent)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// item is something that may be swept.
func (g *graph) item(n gc.Node, labels map[string]string) {
	g.All = append(g.All, n)
	if _, root := labels[labelRoot]; root {
		g.root(n)
	}
	g.refs(n, labels)
}

// refs reads the edges in labels: gc.ref.content, gc.ref.content.l.0,
// gc.ref.content/x, gc.ref.snapshot.overlayfs, gc.ref.image.
func (g *graph) refs(n gc.Node, labels map[string]string) {
	for k, v := range labels {
		switch {
		case named(k, labelContent):
			g.edge(n, gc.Content, v)
		case named(k, labelImage):
			g.edge(n, gc.Image, v)
		case strings.HasPrefix(k, labelSnap):
			name, _, _ := strings.Cut(strings.TrimPrefix(k, labelSnap), "/")
			g.edge(n, gc.Snapshot(name), v)
		}
	}
}

// named matches a label that may have a suffix after '.' or '/'.
func named(label, base string) bool {
	rest, ok := strings.CutPrefix(label, base)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '/')
}

// expired: a time we cannot read counts as not expired, so that nothing is lost
// to a typing error.
func expired(labels map[string]string, now time.Time) bool {
	t, err := time.Parse(time.RFC3339, labels[labelExpire])
	return err == nil && now.After(t)
}

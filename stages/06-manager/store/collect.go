package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/api/events"
	"github.com/opencontainers/go-digest"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/gc"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// Collected says what a collection removed.
type Collected struct {
	Content   int
	Snapshots int
	Leases    int
}

// corpse is a snapshot that has lost its name and still has its files.
type corpse struct {
	ns, snapshotter, key, backend string
	depth                         int // how many parents: children are removed first
}

// Collect removes what nothing refers to any more: names in one transaction,
// bytes after it.
func (s *Store) Collect(ctx context.Context) (Collected, error) {
	var dead []gc.Node
	var corpses []corpse
	seen := map[string]*meta.Tx{}
	err := s.DB.UpdateEach(func(ns string, tx *meta.Tx) error {
		seen[ns] = tx
		return nil
	}, func() error {
		g, err := buildGraph(s.Now(), func(visit func(string, *meta.Tx) error) error {
			for ns, tx := range seen {
				if err := visit(ns, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if dead, err = gc.Sweep(g); err != nil {
			return err
		}
		corpses, err = unname(dead, seen)
		return err
	})
	if err != nil {
		return Collected{}, fmt.Errorf("collect garbage: %w", err)
	}
	return s.clear(ctx, dead, corpses)
}

// unname removes the records of the dead.
func unname(dead []gc.Node, namespaces map[string]*meta.Tx) ([]corpse, error) {
	var corpses []corpse
	for _, n := range dead { // first read all: a parent's record tells the depth of its child
		if name, ok := strings.CutPrefix(string(n.Type), string(gc.Snapshots)); ok {
			c, err := dissect(namespaces[n.Namespace].Snapshots(name), n, name)
			if err != nil {
				return nil, err
			}
			corpses = append(corpses, c)
		}
	}
	for _, n := range dead {
		if err := unnameOne(namespaces[n.Namespace], n); err != nil {
			return nil, err
		}
	}
	return corpses, nil
}

func dissect(table meta.Table[meta.Snapshot], n gc.Node, snapshotter string) (corpse, error) {
	rec, err := table.Get(n.Key)
	if err != nil {
		return corpse{}, err
	}
	c := corpse{ns: n.Namespace, snapshotter: snapshotter, key: n.Key, backend: rec.Backend}
	for p := rec.Parent; p != "" && err == nil; c.depth++ {
		rec, err = table.Get(p)
		p = rec.Parent
	}
	return c, nil
}

func unnameOne(tx *meta.Tx, n gc.Node) error {
	switch {
	case n.Type == gc.Content:
		return tx.Content().Delete(n.Key)
	case n.Type == gc.Lease:
		return tx.Leases().Delete(n.Key)
	default:
		return tx.Snapshots(strings.TrimPrefix(string(n.Type), string(gc.Snapshots))).Delete(n.Key)
	}
}

// clear removes the bytes of what has no name any more. A failure leaves bytes
// that Reconcile finds; it does not stop the others.
func (s *Store) clear(ctx context.Context, dead []gc.Node, corpses []corpse) (Collected, error) {
	var got Collected
	var errs []error
	for _, n := range dead {
		switch n.Type {
		case gc.Content:
			s.condemn(digest.Digest(n.Key))
			got.Content++
			errs = append(errs, s.In(n.Namespace, "").publish("/content/delete", &events.ContentDelete{Digest: n.Key}))
		case gc.Lease:
			got.Leases++
		}
	}
	errs = append(errs, s.bury())
	slices.SortStableFunc(corpses, func(a, b corpse) int { return cmp.Compare(b.depth, a.depth) })
	for _, c := range corpses {
		got.Snapshots++
		backend, ok := s.Snapshotters[c.snapshotter]
		if !ok {
			continue // it belongs to a snapshotter that is no longer configured
		}
		errs = append(errs, ignoreGone(backend.Remove(ctx, c.backend)),
			s.In(c.ns, "").publish("/snapshot/remove", &events.SnapshotRemove{Key: c.key, Snapshotter: c.snapshotter}))
	}
	return got, errors.Join(errs...)
}

// condemn notes a blob that may have lost its last name.
func (s *Store) condemn(d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.condemned == nil {
		s.condemned = map[digest.Digest]bool{}
	}
	s.condemned[d] = true
}

// bury unlinks the condemned blobs that really have no name, unless a pull is
// under way: then the end of that pull does it.
func (s *Store) bury() error {
	if !s.pulls.TryLock() {
		return nil
	}
	defer s.pulls.Unlock()
	s.mu.Lock()
	list := s.condemned
	s.condemned = nil
	s.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return s.DB.UpdateEach(func(_ string, tx *meta.Tx) error { // the write lock: nobody can name one meanwhile
		for d := range list {
			if tx.Content().Has(d.String()) {
				delete(list, d)
			}
		}
		return nil
	}, func() error {
		var errs []error
		for d := range list {
			if err := kind(s.Blobs.Delete(d)); !fault.Is(err, fault.NotFound) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// Pulling says that blobs are being written or reused that have no name yet.
// Call the result when they have names.
func (s *Store) Pulling() (done func() error) {
	s.pulls.RLock()
	return func() error {
		s.pulls.RUnlock()
		return s.bury()
	}
}

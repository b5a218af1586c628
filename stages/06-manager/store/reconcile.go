package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/opencontainers/go-digest"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/gc"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// staleIngest is how long an interrupted download may wait to be resumed.
const staleIngest = 24 * time.Hour

// names is what the metadata says exists.
type names struct {
	blobs    map[digest.Digest]bool
	backends map[string]map[string]bool // snapshotter → backend names
}

// Reconcile makes bytes and names agree after a crash: bytes without a name are
// removed, stale ingests with them, and names without bytes are dropped and
// returned. It must run before anybody is served.
func (s *Store) Reconcile(ctx context.Context) (dropped []string, err error) {
	dropped, err = s.dropNames(ctx)
	if err != nil {
		return dropped, fmt.Errorf("reconcile: %w", err)
	}
	known, err := s.names()
	if err != nil {
		return dropped, fmt.Errorf("reconcile: %w", err)
	}
	errs := []error{s.dropBlobs(known.blobs), s.dropIngests()}
	for name, backend := range s.Snapshotters {
		errs = append(errs, dropSnapshots(ctx, backend, known.backends[name]))
	}
	return dropped, errors.Join(errs...)
}

// dropNames removes the names of what is not on disk: a commit that was killed
// half-way leaves one, and a lost disk block many. A later pull brings the bytes
// again; with the name in place it would skip them.
func (s *Store) dropNames(ctx context.Context) (dropped []string, err error) {
	spaces := map[string]*meta.Tx{}
	err = s.DB.UpdateEach(func(ns string, tx *meta.Tx) error {
		spaces[ns] = tx
		return nil
	}, func() error {
		for ns, tx := range spaces {
			lost, err := s.lost(ctx, tx)
			if err != nil {
				return err
			}
			for _, n := range lost {
				if err := unnameOne(tx, n); err != nil {
					return err
				}
				dropped = append(dropped, fmt.Sprintf("%s: %s %s", ns, n.Type, n.Key))
			}
		}
		return nil
	})
	return dropped, err
}

// lost lists the names of one namespace that have no bytes.
func (s *Store) lost(ctx context.Context, tx *meta.Tx) (lost []gc.Node, err error) {
	err = tx.Content().Each(func(d string, _ *contentapi.Info) error {
		if _, err := s.Blobs.Info(digest.Digest(d)); errors.Is(err, content.ErrNotFound) {
			lost = append(lost, gc.Node{Namespace: tx.Namespace(), Type: gc.Content, Key: d})
		}
		return nil
	})
	for _, name := range tx.Snapshotters() {
		backend, ok := s.Snapshotters[name]
		if !ok {
			continue
		}
		err = errors.Join(err, tx.Snapshots(name).Each(func(key string, v meta.Snapshot) error {
			if _, err := backend.Stat(ctx, v.Backend); errors.Is(err, snapshot.ErrNotFound) {
				lost = append(lost, gc.Node{Namespace: tx.Namespace(), Type: gc.Snapshot(name), Key: key})
			}
			return nil
		}))
	}
	return lost, err
}

func (s *Store) names() (names, error) {
	n := names{blobs: map[digest.Digest]bool{}, backends: map[string]map[string]bool{}}
	err := s.DB.Each(func(_ string, tx *meta.Tx) error {
		err := tx.Content().Each(func(d string, _ *contentapi.Info) error {
			n.blobs[digest.Digest(d)] = true
			return nil
		})
		for _, name := range tx.Snapshotters() {
			if n.backends[name] == nil {
				n.backends[name] = map[string]bool{}
			}
			err = errors.Join(err, tx.Snapshots(name).Each(func(_ string, v meta.Snapshot) error {
				n.backends[name][v.Backend] = true
				return nil
			}))
		}
		return err
	})
	return n, err
}

func (s *Store) dropBlobs(keep map[digest.Digest]bool) error {
	var orphans []digest.Digest
	err := s.Blobs.Walk(func(i content.Info) error {
		if !keep[i.Digest] {
			orphans = append(orphans, i.Digest)
		}
		return nil
	})
	for _, d := range orphans {
		err = errors.Join(err, s.Blobs.Delete(d))
	}
	return err
}

func (s *Store) dropIngests() error {
	all, err := s.Blobs.Statuses()
	for _, st := range all {
		if s.Now().Sub(st.UpdatedAt) > staleIngest {
			err = errors.Join(err, s.Blobs.Abort(st.Ref))
		}
	}
	return err
}

func dropSnapshots(ctx context.Context, backend snapshot.Snapshotter, keep map[string]bool) error {
	var orphans []string
	err := backend.Walk(ctx, func(i snapshot.Info) error {
		if !keep[i.Name] {
			orphans = append(orphans, i.Name)
		}
		return nil
	})
	slices.Reverse(orphans) // Walk gives parents first
	for _, name := range orphans {
		err = errors.Join(err, ignoreGone(backend.Remove(ctx, name)))
	}
	return err
}

// Check returns what is wrong between names and bytes, and within the metadata.
// An orphan is not wrong (the next start removes it), a name without bytes is.
func (s *Store) Check(ctx context.Context) []error {
	found := s.DB.Check()
	err := s.DB.Each(func(ns string, tx *meta.Tx) error {
		err := tx.Content().Each(func(d string, v *contentapi.Info) error {
			blob, err := s.Blobs.Info(digest.Digest(d))
			if err != nil {
				found = append(found, fmt.Errorf("%s: %w", ns, err))
			} else if blob.Size != v.GetSize() {
				found = append(found, fmt.Errorf("%s: content %s: %d bytes on disk, %d recorded", ns, d, blob.Size, v.GetSize()))
			}
			return nil
		})
		for _, name := range tx.Snapshotters() {
			err = errors.Join(err, tx.Snapshots(name).Each(func(key string, v meta.Snapshot) error {
				if b, ok := s.Snapshotters[name]; ok {
					if _, err := b.Stat(ctx, v.Backend); err != nil {
						found = append(found, fmt.Errorf("%s: snapshot %q: %w", ns, key, err))
					}
				}
				return nil
			}))
		}
		return err
	})
	if err != nil {
		found = append(found, err)
	}
	return found
}

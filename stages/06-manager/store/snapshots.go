package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/api/events"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/gc"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// Snapshots is a snapshotter as one namespace sees it. It has the methods of
// snapshot.Snapshotter, so stage 3 can unpack an image into it.
type Snapshots struct {
	space   Space
	name    string
	backend snapshot.Snapshotter
}

// DefaultSnapshotter is the one for those who do not choose, as in containerd.
const DefaultSnapshotter = "overlayfs"

// Snapshots finds a snapshotter by name.
func (sp Space) Snapshots(name string) (*Snapshots, error) {
	backend, ok := sp.Snapshotters[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "snapshotter %q: not configured", name)
	}
	return &Snapshots{space: sp, name: name, backend: backend}, nil
}

// Unpacker is the snapshotter for stage 3's unpacker, which looks whether it can
// commit on another parent: only one whose backend can has CommitOn.
func (s *Snapshots) Unpacker() snapshot.Snapshotter {
	if _, ok := s.backend.(snapshot.Rebaser); ok {
		return s
	}
	return struct{ snapshot.Snapshotter }{s}
}

// record finds the namespace's record of a key.
func (s *Snapshots) record(key string) (rec meta.Snapshot, err error) {
	err = s.space.DB.View(s.space.NS, func(tx *meta.Tx) error {
		rec, err = s.get(tx, key)
		return err
	})
	return rec, err
}

// get is Table.Get with stage 3's word for an absent one, which its unpacker looks for.
func (s *Snapshots) get(tx *meta.Tx, key string) (meta.Snapshot, error) {
	if !tx.Snapshots(s.name).Has(key) {
		return meta.Snapshot{}, fault.New(fault.NotFound, "snapshot %q: %w", key, snapshot.ErrNotFound)
	}
	return tx.Snapshots(s.name).Get(key)
}

// Stat tells about a snapshot.
func (s *Snapshots) Stat(ctx context.Context, key string) (snapshot.Info, error) {
	rec, err := s.record(key)
	if err != nil {
		return snapshot.Info{}, err
	}
	return s.info(ctx, rec)
}

// info gives a backend's answer the namespace's names.
func (s *Snapshots) info(ctx context.Context, rec meta.Snapshot) (snapshot.Info, error) {
	info, err := s.backend.Stat(ctx, rec.Backend)
	if err != nil {
		return info, kind(err)
	}
	info.Name, info.Parent, info.Labels = rec.Name, rec.Parent, rec.Labels
	info.Created, info.Updated = rec.Created, rec.Updated
	return info, nil
}

// Update changes labels.
func (s *Snapshots) Update(ctx context.Context, info snapshot.Info, paths ...string) (snapshot.Info, error) {
	var rec meta.Snapshot
	err := s.space.DB.Update(s.space.NS, func(tx *meta.Tx) error {
		var err error
		if rec, err = s.get(tx, info.Name); err != nil {
			return err
		}
		if rec.Labels, err = changeLabels(rec.Labels, info.Labels, paths); err != nil {
			return err
		}
		rec.Updated = s.space.Now()
		return tx.Snapshots(s.name).Put(rec.Name, rec)
	})
	if err != nil {
		return snapshot.Info{}, err
	}
	return s.info(ctx, rec)
}

// Usage tells what a snapshot takes on disk.
func (s *Snapshots) Usage(ctx context.Context, key string) (snapshot.Usage, error) {
	rec, err := s.record(key)
	if err != nil {
		return snapshot.Usage{}, err
	}
	u, err := s.backend.Usage(ctx, rec.Backend)
	return u, kind(err)
}

// Mounts gives the mounts of a View or Active snapshot.
func (s *Snapshots) Mounts(ctx context.Context, key string) ([]snapshot.Mount, error) {
	rec, err := s.record(key)
	if err != nil {
		return nil, err
	}
	m, err := s.backend.Mounts(ctx, rec.Backend)
	return m, kind(err)
}

// Prepare makes an Active snapshot.
func (s *Snapshots) Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]snapshot.Mount, error) {
	return s.make(ctx, key, parent, labels, s.backend.Prepare)
}

// View makes a read-only one.
func (s *Snapshots) View(ctx context.Context, key, parent string, labels map[string]string) ([]snapshot.Mount, error) {
	return s.make(ctx, key, parent, labels, s.backend.View)
}

type maker func(ctx context.Context, key, parent string, labels map[string]string) ([]snapshot.Mount, error)

// make runs the backend first and names the result second. The backend is not
// inside the transaction, because one that copies takes long; the collector does
// not mind, for it looks at names only.
func (s *Snapshots) make(ctx context.Context, key, parent string, labels map[string]string, backend maker) (mounts []snapshot.Mount, err error) {
	if err := meta.ValidLabels(labels); err != nil {
		return nil, err
	}
	var rec meta.Snapshot
	var below string
	err = s.space.DB.View(s.space.NS, func(tx *meta.Tx) error {
		rec, below, err = s.draft(tx, key, parent, labels)
		return err
	})
	if err != nil {
		return nil, err
	}
	if mounts, err = backend(ctx, rec.Backend, below, ownLabels(labels)); err != nil {
		return nil, kind(err)
	}
	err = s.space.DB.Update(s.space.NS, func(tx *meta.Tx) error {
		// Somebody may have taken the key, or removed the parent, meanwhile.
		if _, _, err := s.draft(tx, key, parent, labels); err != nil {
			return err
		}
		return s.enter(tx, rec)
	})
	if err != nil {
		return nil, errors.Join(err, ignoreGone(s.backend.Remove(context.WithoutCancel(ctx), rec.Backend)))
	}
	return mounts, s.space.publish("/snapshot/prepare", &events.SnapshotPrepare{Key: key, Parent: parent, Snapshotter: s.name})
}

// ownLabels are those that mean something to the backend itself: labels are kept
// with the names, but what a killed process was unpacking is swept below them.
func ownLabels(labels map[string]string) map[string]string {
	if v, ok := labels[snapshot.LabelTransient]; ok {
		return map[string]string{snapshot.LabelTransient: v}
	}
	return nil
}

// draft is the record of a snapshot to be, and the backend's name of its parent.
func (s *Snapshots) draft(tx *meta.Tx, key, parent string, labels map[string]string) (rec meta.Snapshot, below string, err error) {
	table := tx.Snapshots(s.name)
	switch {
	case key == "":
		return rec, "", fault.New(fault.InvalidArgument, "snapshot: key is empty")
	case table.Has(key):
		return rec, "", fault.New(fault.AlreadyExists, "snapshot %q: %w", key, snapshot.ErrExists)
	}
	if parent != "" {
		p, err := s.get(tx, parent)
		if err != nil {
			return rec, "", fmt.Errorf("parent of snapshot %q: %w", key, err)
		}
		below = p.Backend
	}
	now := s.space.Now()
	return meta.Snapshot{
		Name: key, Parent: parent, Labels: labels, Created: now, Updated: now,
		Backend: strings.Join([]string{s.space.NS, rand.Text(), key}, "/"), // no namespace and no earlier attempt has used it
	}, below, nil
}

func (s *Snapshots) enter(tx *meta.Tx, rec meta.Snapshot) error {
	if err := tx.Snapshots(s.name).Create(rec.Name, rec); err != nil {
		return err
	}
	return s.space.hold(tx, string(gc.Snapshot(s.name)), rec.Name)
}

// Commit turns an Active snapshot into a Committed one with another name.
func (s *Snapshots) Commit(ctx context.Context, name, key string, labels map[string]string) error {
	return s.commit(ctx, name, key, "", labels)
}

// CommitOn is Commit that also sets the parent; the backend must be able to.
func (s *Snapshots) CommitOn(ctx context.Context, name, key, parent string, labels map[string]string) error {
	return s.commit(ctx, name, key, parent, labels)
}

// commit names the result, runs the backend, and takes the old name away. A
// kill -9 before the backend's turn leaves a new name without bytes, one after it
// leaves an old name without bytes; Reconcile drops either, and nothing is lost.
func (s *Snapshots) commit(ctx context.Context, name, key, parent string, labels map[string]string) error {
	s.space.commits.Lock()
	defer s.space.commits.Unlock()
	var old, rec meta.Snapshot
	var below string
	err := s.space.DB.Update(s.space.NS, func(tx *meta.Tx) (err error) {
		if old, err = s.get(tx, key); err != nil {
			return err
		}
		if rec, below, err = s.draft(tx, name, parent, labels); err != nil {
			return err
		}
		if parent == "" {
			rec.Parent = old.Parent
		}
		return s.enter(tx, rec)
	})
	if err != nil {
		return err
	}
	if parent == "" {
		err = kind(s.backend.Commit(ctx, rec.Backend, old.Backend, nil))
	} else {
		err = kind(s.rebase(ctx, rec.Backend, old.Backend, below))
	}
	if err != nil {
		return errors.Join(err, s.forget(name))
	}
	return errors.Join(s.forget(key),
		s.space.publish("/snapshot/commit", &events.SnapshotCommit{Key: key, Name: name, Snapshotter: s.name}))
}

// forget takes a name away; the collector may have been faster.
func (s *Snapshots) forget(name string) error {
	err := s.space.DB.Update(s.space.NS, func(tx *meta.Tx) error { return tx.Snapshots(s.name).Delete(name) })
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (s *Snapshots) rebase(ctx context.Context, name, key, parent string) error {
	r, ok := s.backend.(snapshot.Rebaser)
	if !ok {
		return fault.New(fault.Unimplemented, "snapshotter %s cannot commit on another parent", s.name)
	}
	return r.CommitOn(ctx, name, key, parent, nil)
}

// Remove forgets a snapshot and then deletes it. A parent is refused.
func (s *Snapshots) Remove(ctx context.Context, key string) error {
	var rec meta.Snapshot
	err := s.space.DB.Update(s.space.NS, func(tx *meta.Tx) error {
		table := tx.Snapshots(s.name)
		var err error
		if rec, err = s.get(tx, key); err != nil {
			return err
		}
		err = table.Each(func(child string, v meta.Snapshot) error {
			if v.Parent == key {
				return fault.New(fault.FailedPrecondition, "snapshot %q: %q stands on it", key, child)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return table.Delete(key)
	})
	if err != nil {
		return err
	}
	return errors.Join(
		ignoreGone(s.backend.Remove(ctx, rec.Backend)),
		s.space.publish("/snapshot/remove", &events.SnapshotRemove{Key: key, Snapshotter: s.name}))
}

func ignoreGone(err error) error {
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	return kind(err)
}

// Walk visits the namespace's snapshots in the order of their names.
func (s *Snapshots) Walk(ctx context.Context, fn func(snapshot.Info) error) error {
	var all []meta.Snapshot
	err := s.space.DB.View(s.space.NS, func(tx *meta.Tx) error {
		return tx.Snapshots(s.name).Each(func(_ string, v meta.Snapshot) error {
			all = append(all, v)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, rec := range all {
		info, err := s.info(ctx, rec)
		if fault.Is(err, fault.NotFound) {
			continue // removed since we looked
		}
		if err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

// Close does nothing: the backend belongs to the Store.
func (s *Snapshots) Close() error { return nil }

// Hold adds a snapshot that is there already to the request's lease.
func (s *Snapshots) Hold(key string) error {
	return s.space.DB.Update(s.space.NS, func(tx *meta.Tx) error {
		if _, err := s.get(tx, key); err != nil {
			return err
		}
		return s.space.hold(tx, string(gc.Snapshot(s.name)), key)
	})
}

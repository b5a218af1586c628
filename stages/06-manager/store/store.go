// Package store joins the names in package meta to the bytes on disk: the
// content store and the snapshotters of stage 3. Each namespace sees its own
// blobs and snapshots; below, a blob is kept once.
//
// One order keeps a crash harmless. What is made is made on disk first and
// named second; what is removed loses its name first. So a kill -9 leaves bytes
// without a name (or, in the middle of a snapshot's commit, one of its two names
// without bytes), and Reconcile makes both agree at the next start.
package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// Publisher is told what changed.
type Publisher interface {
	Publish(namespace, topic string, event proto.Message) error
}

// Store is all namespaces.
type Store struct {
	DB           *meta.DB
	Blobs        *content.Store
	Snapshotters map[string]snapshot.Snapshotter // immutable
	Events       Publisher
	Now          func() time.Time

	// pulls is held for reading while a pull writes blobs that have no name yet,
	// and for writing while condemned blobs are unlinked: so a pull that found a
	// blob on disk and skipped its download never loses it.
	pulls sync.RWMutex

	// commits is held over a snapshot's commit: who finds the name finds the bytes,
	// though they come in two transactions.
	commits sync.Mutex

	mu        sync.Mutex // guards condemned
	condemned map[digest.Digest]bool
}

// Space is one namespace as one request sees it.
type Space struct {
	*Store
	NS    string
	Lease string // "" or the lease that what is made joins
}

// In returns the namespace's view. What is made through it is added to the
// lease, so that the collector keeps it until something refers to it.
func (s *Store) In(ns, lease string) Space { return Space{Store: s, NS: ns, Lease: lease} }

// hold adds a resource to the request's lease, in the transaction that makes it.
func (sp Space) hold(tx *meta.Tx, kind, id string) error {
	if sp.Lease == "" {
		return nil
	}
	lease, err := tx.Leases().Get(sp.Lease)
	if err != nil {
		return err
	}
	r := meta.Resource{Type: kind, ID: id}
	for _, have := range lease.Resources {
		if have == r {
			return nil
		}
	}
	lease.Resources = append(lease.Resources, r)
	return tx.Leases().Put(sp.Lease, lease)
}

func (sp Space) publish(topic string, event proto.Message) error {
	if err := sp.Events.Publish(sp.NS, topic, event); err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}

// kind is the one table from stage 3's errors to ours.
func kind(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) != fault.Unknown:
		return err
	case errors.Is(err, content.ErrNotFound), errors.Is(err, snapshot.ErrNotFound):
		return fault.As(fault.NotFound, err)
	case errors.Is(err, content.ErrExists), errors.Is(err, snapshot.ErrExists):
		return fault.As(fault.AlreadyExists, err)
	case errors.Is(err, content.ErrLocked), errors.Is(err, snapshot.ErrLocked):
		return fault.As(fault.Unavailable, err)
	case errors.Is(err, content.ErrDigest), errors.Is(err, snapshot.ErrInvalid):
		return fault.As(fault.FailedPrecondition, err)
	case errors.Is(err, content.ErrInvalid):
		return fault.As(fault.InvalidArgument, err)
	default:
		return err
	}
}

// changeLabels applies an update of labels by a field mask: none or "labels"
// replaces all, "labels.KEY" sets one (an empty value removes it). These are the
// words of containerd's services.
func changeLabels(have, want map[string]string, paths []string) (map[string]string, error) {
	if len(paths) == 0 {
		return want, meta.ValidLabels(want)
	}
	out := map[string]string{}
	for k, v := range have {
		out[k] = v
	}
	for _, p := range paths {
		key, one := strings.CutPrefix(p, "labels.")
		switch {
		case one && want[key] == "":
			delete(out, key)
		case one:
			out[key] = want[key]
		case p == "labels":
			out = want
		default:
			return nil, fault.New(fault.InvalidArgument, "field %q cannot be updated", p)
		}
	}
	return out, meta.ValidLabels(out)
}

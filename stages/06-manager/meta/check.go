package meta

import (
	"fmt"

	"github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Check is what must always be true, as a function (as bbolt's Tx.Check is):
// tests and `slipway-manager --check` call the same one. It returns every
// violation it finds, each with the record's name.
func (db *DB) Check() []error {
	var found []error
	err := db.bolt.View(func(btx *bolt.Tx) error {
		for err := range btx.Check() {
			found = append(found, fmt.Errorf("bbolt: %w", err))
		}
		c := &checker{backends: map[string]string{}}
		if err := eachNamespace(btx, c.namespace); err != nil {
			found = append(found, err)
		}
		found = append(found, c.found...)
		return nil
	})
	if err != nil {
		found = append(found, err)
	}
	return found
}

type checker struct {
	found    []error
	backends map[string]string // backend name → who has it
}

func (c *checker) bad(format string, args ...any) {
	c.found = append(c.found, fmt.Errorf(format, args...))
}

// keep turns an error of a walk into a finding, so that the others are still visited.
func (c *checker) keep(err error) {
	if err != nil {
		c.found = append(c.found, err)
	}
}

func (c *checker) namespace(ns string, tx *Tx) error {
	c.keep(ValidName("namespace", ns))
	c.keep(tx.Images().Each(func(key string, v *images.Image) error {
		if v.GetName() != key {
			c.bad("%s: image %q says its name is %q", ns, key, v.GetName())
		}
		c.digest(ns, "image "+key, v.GetTarget().GetDigest())
		return nil
	}))
	c.keep(tx.Containers().Each(func(key string, v *containers.Container) error {
		if v.GetID() != key {
			c.bad("%s: container %q says its id is %q", ns, key, v.GetID())
		}
		return nil
	}))
	c.keep(tx.Content().Each(func(key string, v *content.Info) error {
		if v.GetDigest() != key {
			c.bad("%s: content %q says its digest is %q", ns, key, v.GetDigest())
		}
		c.digest(ns, "content", key)
		return nil
	}))
	c.keep(tx.Leases().Each(func(key string, v Lease) error {
		if v.ID != key {
			c.bad("%s: lease %q says its id is %q", ns, key, v.ID)
		}
		return nil
	}))
	for _, name := range tx.Snapshotters() {
		c.snapshots(ns, name, tx.Snapshots(name))
	}
	return nil
}

func (c *checker) snapshots(ns, snapshotter string, table Table[Snapshot]) {
	c.keep(table.Each(func(key string, v Snapshot) error {
		if v.Name != key {
			c.bad("%s: snapshot %q says its name is %q", ns, key, v.Name)
		}
		if v.Parent != "" && !table.Has(v.Parent) {
			c.bad("%s: snapshot %q stands on %q, which is not there", ns, key, v.Parent)
		}
		at := snapshotter + " " + v.Backend
		if other, taken := c.backends[at]; taken {
			c.bad("%s: snapshot %q and %s are both backend %q", ns, key, other, v.Backend)
		}
		c.backends[at] = ns + "/" + key
		return nil
	}))
}

func (c *checker) digest(ns, what, d string) {
	if err := digest.Digest(d).Validate(); err != nil {
		c.bad("%s: %s: digest %q: %w", ns, what, d, err)
	}
}

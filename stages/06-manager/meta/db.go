// Package meta is the manager's memory: one bbolt file with one bucket per
// namespace, and in it one bucket per kind of record. It holds names and
// relations only (which image is which digest, which snapshot stands on which);
// bytes live in the content store and in the snapshotter.
//
// A transaction that has returned is on the disk: bbolt calls fdatasync before
// it answers, so whatever a client was told survives a kill -9.
package meta

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// The top level of the file. The version is part of the name: another layout
// would be another bucket, and both could be read.
const (
	rootBucket = "slipway-v1"
	lockWait   = 10 * time.Second // how long Open waits for another process to let go
)

// DB is the open file. It is safe for concurrent use; writers take turns.
type DB struct {
	bolt *bolt.DB
}

// Open opens or makes the file. A second process that opens it waits, then fails:
// two managers must not share one root.
func Open(path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", path, err)
	}
	return &DB{bolt: db}, nil
}

// Close waits for running transactions and closes the file.
func (db *DB) Close() error { return db.bolt.Close() }

// View runs fn in a read transaction of one namespace. It sees one moment.
func (db *DB) View(ns string, fn func(*Tx) error) error {
	return db.bolt.View(func(btx *bolt.Tx) error {
		return fn(&Tx{ns: ns, bkt: namespaceBucket(btx, ns)})
	})
}

// Update runs fn in the one write transaction. When it returns nil, what fn
// wrote is durable. A namespace comes into being with its first record.
func (db *DB) Update(ns string, fn func(*Tx) error) error {
	if err := ValidName("namespace", ns); err != nil {
		return err
	}
	return db.bolt.Update(func(btx *bolt.Tx) error {
		top, err := btx.CreateBucketIfNotExists([]byte(rootBucket))
		if err != nil {
			return err
		}
		bkt, err := top.CreateBucketIfNotExists([]byte(ns))
		if err != nil {
			return fmt.Errorf("namespace %s: %w", ns, err)
		}
		return fn(&Tx{ns: ns, bkt: bkt})
	})
}

// Each visits every namespace inside one read transaction.
func (db *DB) Each(fn func(ns string, tx *Tx) error) error {
	return db.bolt.View(func(btx *bolt.Tx) error { return eachNamespace(btx, fn) })
}

// UpdateEach visits every namespace inside the one write transaction and then
// runs after in it: nothing can be named or unnamed meanwhile. The transactions
// that visit was given may be used in after.
func (db *DB) UpdateEach(visit func(ns string, tx *Tx) error, after func() error) error {
	return db.bolt.Update(func(btx *bolt.Tx) error {
		if err := eachNamespace(btx, visit); err != nil {
			return err
		}
		return after()
	})
}

func eachNamespace(btx *bolt.Tx, fn func(ns string, tx *Tx) error) error {
	top := btx.Bucket([]byte(rootBucket))
	if top == nil {
		return nil
	}
	return top.ForEachBucket(func(k []byte) error {
		return fn(string(k), &Tx{ns: string(k), bkt: top.Bucket(k)})
	})
}

// DeleteNamespace removes an empty namespace; one that holds records is refused,
// because its images and containers would be gone without a word.
func (db *DB) DeleteNamespace(ns string) error {
	return db.bolt.Update(func(btx *bolt.Tx) error {
		top := btx.Bucket([]byte(rootBucket))
		if top == nil || top.Bucket([]byte(ns)) == nil {
			return fault.New(fault.NotFound, "namespace %s: not found", ns)
		}
		tx := &Tx{ns: ns, bkt: top.Bucket([]byte(ns))}
		if kind := tx.occupied(); kind != "" {
			return fault.New(fault.FailedPrecondition, "namespace %s still holds %s", ns, kind)
		}
		return top.DeleteBucket([]byte(ns))
	})
}

func namespaceBucket(btx *bolt.Tx, ns string) *bolt.Bucket {
	top := btx.Bucket([]byte(rootBucket))
	if top == nil {
		return nil
	}
	return top.Bucket([]byte(ns))
}

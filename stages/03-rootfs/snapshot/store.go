package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"golang.org/x/sys/unix"
)

// store keeps the records of the snapshots: what all Snapshotters here have in common.
type store struct {
	dir  string   // immutable
	lock *os.File // flock for the life of the store

	cannotMap func() error           // why the kernel does not map the owners of its mounts, or nil; asked when the first wants it
	discard   func(dir string) error // removes a snapshot's directory; os.RemoveAll where there is nothing faster

	mu      sync.Mutex         // guards all below
	records map[string]*record // by key or name
	nextID  uint64
	damaged []error
}

// Option is one of opening snapshots.
type Option func(*store)

// ShiftOwners gives files other owners by chown(2), for file systems whose mounts the kernel cannot map. Where that is so it is found out without
// this option.
func ShiftOwners() Option {
	return func(s *store) { s.cannotMap = func() error { return errors.New("owners are changed on disk here") } }
}

// openStore locks the directory, sweeps what was being made or removed when the last process ended, and reads the rest.
func openStore(dir, kind string, discard func(dir string) error, options []Option) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "snapshots"), 0o700); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	s := &store{dir: dir, discard: discard, records: map[string]*record{}, nextID: 1}
	s.cannotMap = sync.OnceValue(func() error { return idmap.Probe(kind, s.path()) })
	for _, o := range options {
		o(s)
	}
	if s.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if err := s.load(); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return s, nil
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Damaged lists the snapshots that could not be read when the directory was opened.
func (s *store) Damaged() []error { return slices.Clone(s.damaged) }

// Close implements Snapshotter.
func (s *store) Close() error { return s.lock.Close() }

// path gives a path below the snapshots.
func (s *store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "snapshots"}, parts...)...)
}

// fs is the directory with the files of a snapshot.
func (s *store) fs(r *record) string { return s.path(r.ID, "fs") }

func (s *store) getLocked(key string) (*record, error) {
	r, ok := s.records[key]
	if !ok {
		return nil, fmt.Errorf("snapshot %q: %w", key, ErrNotFound)
	}
	return r, nil
}

// parentLocked gives the record of a parent, nil for "".
func (s *store) parentLocked(name string) (*record, error) {
	if name == "" {
		return nil, nil
	}
	r, err := s.getLocked(name)
	if err != nil {
		return nil, fmt.Errorf("parent: %w", err)
	}
	if r.Kind != Committed {
		return nil, fmt.Errorf("parent %q is not committed: %w", name, ErrInvalid)
	}
	return r, nil
}

// chainLocked gives the parents of r, nearest first.
func (s *store) chainLocked(r *record) ([]*record, error) {
	var chain []*record
	for len(r.Parent) > 0 {
		parent, err := s.parentLocked(string(r.Parent))
		if err != nil {
			return nil, fmt.Errorf("snapshot %q: %w", r.Key, err)
		}
		if chain = append(chain, parent); len(chain) > len(s.records) {
			return nil, fmt.Errorf("snapshot %q is its own parent: %w", r.Key, ErrInvalid)
		}
		r = parent
	}
	return chain, nil
}

package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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

// record is a snapshot on disk. Its directory is named by ID, which never changes.
type record struct {
	Version int               `json:"version"`
	ID      string            `json:"-"`
	Kind    Kind              `json:"kind"`
	Key     []byte            `json:"key"` // bytes, because JSON would change what is not UTF-8
	Parent  []byte            `json:"parent,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
	Usage   *Usage            `json:"usage,omitempty"`   // of a Committed one
	IDs     *idmap.Map        `json:"ids,omitempty"`     // its mounts show other owners
	Shifted bool              `json:"shifted,omitempty"` // and its files have them: the kernel cannot map their mount
}

func (r *record) info() Info {
	return Info{
		Kind: r.Kind, Name: string(r.Key), Parent: string(r.Parent), Labels: maps.Clone(r.Labels),
		Created: r.Created, Updated: r.Updated,
	}
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

func (s *store) load() error {
	entries, err := os.ReadDir(s.path())
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			if err := s.sweep(e.Name()); err != nil {
				return err
			}
			continue
		}
		s.nextID = max(s.nextID, id+1)
		if err := s.loadOne(e.Name()); err != nil {
			s.damaged = append(s.damaged, err)
		}
	}
	return s.sweepTransient()
}

// sweepTransient removes what a killed process was making. It cannot be at work any more: we hold the lock.
func (s *store) sweepTransient() error {
	for key, r := range s.records {
		if r.Kind == Committed || r.Labels[LabelTransient] == "" {
			continue
		}
		gone, err := s.detachLocked(key)
		if err == nil {
			err = s.discard(gone)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what was being made or removed. A stranger's files stay.
func (s *store) sweep(name string) error {
	if !strings.HasPrefix(name, ".new-") && !strings.HasPrefix(name, ".gone-") {
		return nil
	}
	return s.discard(s.path(name))
}

// loadOne reads one record. A snapshot whose record a power cut made unreadable is left where it is and told of by
// Damaged: one broken disk block must not stop an engine with a hundred good containers.
func (s *store) loadOne(id string) error {
	path := s.path(id, "snapshot.json")
	p, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	r := &record{ID: id}
	if err := json.Unmarshal(p, r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if r.Version != 1 || r.Kind < View || r.Kind > Committed || len(r.Key) == 0 {
		return fmt.Errorf("%s: version %d, kind %s: %w", path, r.Version, r.Kind, ErrInvalid)
	}
	if other, ok := s.records[string(r.Key)]; ok {
		return fmt.Errorf("%s: %q is also in %s: %w", path, r.Key, other.ID, ErrExists)
	}
	s.records[string(r.Key)] = r
	return nil
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

// begin makes the directory of a new snapshot under a name that the next sweep takes away.
func (s *store) begin(subs ...string) (string, error) {
	dir, err := os.MkdirTemp(s.path(), ".new-")
	if err != nil {
		return "", err
	}
	for _, sub := range subs {
		if err := makeRoot(filepath.Join(dir, sub)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// makeRoot makes a directory 0755: it becomes "/" of a container. What is above it is 0700 (CVE-2021-41091).
func makeRoot(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// publishLocked gives the directory its number; from here on the snapshot is there. A container's is on disk before we say so: after a
// power cut its record must lead to what the container wrote. One that is transient means nothing then.
func (s *store) publishLocked(dir string, r *record) error {
	durable := r.Labels[LabelTransient] == ""
	if err := writeRecord(dir, r, durable); err != nil {
		return err
	}
	r.ID = strconv.FormatUint(s.nextID, 10)
	if err := os.Rename(dir, s.path(r.ID)); err != nil {
		return err
	}
	if durable {
		if err := syncDir(s.path()); err != nil {
			return errors.Join(err, os.Rename(s.path(r.ID), dir)) // the caller removes it
		}
	}
	s.nextID++
	s.records[string(r.Key)] = r
	return nil
}

// writeRecord replaces the record of the snapshot in dir.
func writeRecord(dir string, r *record, durable bool) error {
	p, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "snapshot.json.new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(p, '\n'))
	if err == nil && durable {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, "snapshot.json")); err != nil {
		return err
	}
	if durable {
		return syncDir(dir)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Stat implements Snapshotter.
func (s *store) Stat(_ context.Context, key string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.getLocked(key)
	if err != nil {
		return Info{}, err
	}
	return r.info(), nil
}

// Update implements Snapshotter.
func (s *store) Update(_ context.Context, info Info, fieldpaths ...string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.getLocked(info.Name)
	if err != nil {
		return Info{}, err
	}
	labels, err := updatedLabels(r.Labels, info.Labels, fieldpaths)
	if err != nil {
		return Info{}, fmt.Errorf("snapshot %q: %w", info.Name, err)
	}
	next := *r
	next.Labels, next.Updated = labels, time.Now().UTC()
	if err := writeRecord(s.path(r.ID), &next, true); err != nil {
		return Info{}, fmt.Errorf("snapshot %q: %w", info.Name, err)
	}
	*r = next
	return r.info(), nil
}

// updatedLabels is pure: what the labels are after an Update.
func updatedLabels(old, given map[string]string, fieldpaths []string) (map[string]string, error) {
	if len(fieldpaths) == 0 {
		return maps.Clone(given), nil
	}
	labels := maps.Clone(old)
	if labels == nil {
		labels = map[string]string{}
	}
	for _, path := range fieldpaths {
		key, one := strings.CutPrefix(path, "labels.")
		switch {
		case path == "labels":
			labels = maps.Clone(given)
			if labels == nil {
				labels = map[string]string{}
			}
		case !one:
			return nil, fmt.Errorf("field %q cannot be changed: %w", path, ErrInvalid)
		case given[key] == "":
			delete(labels, key)
		default:
			labels[key] = given[key]
		}
	}
	return labels, nil
}

// Usage implements Snapshotter.
func (s *store) Usage(ctx context.Context, key string) (Usage, error) {
	s.mu.Lock()
	r, err := s.getLocked(key)
	if err != nil {
		s.mu.Unlock()
		return Usage{}, err
	}
	known, dir := r.Usage, s.fs(r)
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	return diskUsage(ctx, dir)
}

// Walk implements Snapshotter.
func (s *store) Walk(_ context.Context, fn func(Info) error) error {
	s.mu.Lock()
	all := make([]*record, 0, len(s.records))
	depth := map[*record]int{}
	for _, r := range s.records {
		chain, _ := s.chainLocked(r) // a broken chain is shorter; the snapshot is shown all the same
		all, depth[r] = append(all, r), len(chain)
	}
	slices.SortFunc(all, func(a, b *record) int {
		if d := depth[a] - depth[b]; d != 0 {
			return d
		}
		return bytes.Compare(a.Key, b.Key)
	})
	infos := make([]Info, len(all))
	for i, r := range all {
		infos[i] = r.info()
	}
	s.mu.Unlock() // fn may call us
	for _, info := range infos {
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

// Remove implements Snapshotter. The name goes at once; the files go after it, without holding up others.
func (s *store) Remove(_ context.Context, key string) error {
	s.mu.Lock()
	gone, err := s.detachLocked(key)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.discard(gone); err != nil {
		return fmt.Errorf("remove snapshot %q: %w", key, err) // swept at the next open
	}
	return nil
}

func (s *store) detachLocked(key string) (string, error) {
	r, err := s.getLocked(key)
	if err != nil {
		return "", err
	}
	for _, child := range s.records {
		if string(child.Parent) == key {
			return "", fmt.Errorf("snapshot %q is the parent of %q: %w", key, child.Key, ErrInvalid)
		}
	}
	gone := s.path(".gone-" + r.ID)
	if err := os.Rename(s.path(r.ID), gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove snapshot %q: %w", key, err)
	}
	delete(s.records, key)
	return gone, nil
}

// commit is Commit and CommitOn. parent nil leaves it as it is. After the record's rename the snapshot is Committed, before it Active.
func (s *store) commit(ctx context.Context, name, key string, parent *string, labels map[string]string) error {
	s.mu.Lock()
	r, err := s.getLocked(key)
	var dir string
	if err == nil {
		dir, err = s.fs(r), s.mayCommitLocked(r, name, parent)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if r.Shifted { // what is committed has the owners that its layer gives it
		if err := shift(ctx, dir, r.IDs, true); err != nil {
			return fmt.Errorf("commit snapshot %q: %w", key, err)
		}
	}
	usage, err := diskUsage(ctx, dir)
	if err != nil {
		return fmt.Errorf("commit snapshot %q: %w", key, err)
	}
	if err := syncFS(dir); err != nil {
		return fmt.Errorf("commit snapshot %q: %w", key, err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[key] != r {
		return fmt.Errorf("snapshot %q: %w", key, ErrNotFound) // removed meanwhile
	}
	if err := s.mayCommitLocked(r, name, parent); err != nil {
		return err
	}
	now := time.Now().UTC()
	next := &record{
		Version: 1, ID: r.ID, Kind: Committed, Key: []byte(name), Parent: r.Parent, Labels: maps.Clone(labels),
		Created: now, Updated: now, Usage: &usage,
	}
	if parent != nil {
		next.Parent = []byte(*parent)
	}
	if err := writeRecord(s.path(r.ID), next, true); err != nil {
		return fmt.Errorf("commit snapshot %q: %w", key, err)
	}
	delete(s.records, key)
	s.records[name] = next
	return nil
}

func (s *store) mayCommitLocked(r *record, name string, parent *string) error {
	if r.Kind != Active {
		return fmt.Errorf("snapshot %q is %s and cannot be committed: %w", r.Key, r.Kind, ErrInvalid)
	}
	if name == "" {
		return fmt.Errorf("commit snapshot %q: no name: %w", r.Key, ErrInvalid)
	}
	if _, ok := s.records[name]; ok {
		return fmt.Errorf("snapshot %q: %w", name, ErrExists)
	}
	if parent == nil {
		return nil
	}
	if len(r.Parent) > 0 {
		return fmt.Errorf("snapshot %q has a parent already: %w", r.Key, ErrInvalid)
	}
	_, err := s.parentLocked(*parent)
	return err
}

// syncFS brings the files of a snapshot to the disk before its record says that they are there: one call for all, where an
// fsync for each file would take minutes (syncfs(2)).
func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

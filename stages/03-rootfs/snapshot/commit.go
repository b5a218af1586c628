package snapshot

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

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

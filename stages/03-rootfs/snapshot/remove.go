package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

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

package snapshot

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

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

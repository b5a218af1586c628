package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

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

// Package idmap shows files with other owners: what is on disk as the container's ids is seen as the host's that its user namespace maps
// them to (mount_setattr(2), "ID-mapped mounts"). What is on disk stays as it is: a file that the container's root makes is root's there.
package idmap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrInvalid is a map that no kernel would take.
var ErrInvalid = errors.New("invalid id map")

// Range is a line of uid_map (user_namespaces(7)).
type Range struct {
	Container uint32 `json:"container"`
	Host      uint32 `json:"host"`
	Size      uint32 `json:"size"`
}

// Map maps the owners of files.
type Map struct {
	UIDs []Range `json:"uids"`
	GIDs []Range `json:"gids"`
}

// Parse reads the two labels, or the two mount options: lists of CONTAINER:HOST:SIZE with commas between. nil when both are empty.
func Parse(uids, gids string) (*Map, error) {
	if uids == "" && gids == "" {
		return nil, nil
	}
	m := &Map{}
	var err error
	if m.UIDs, err = parseRanges(uids); err == nil {
		m.GIDs, err = parseRanges(gids)
	}
	return m, err
}

// maxRanges is what the kernel takes (user_namespaces(7)).
const maxRanges = 340

func parseRanges(text string) ([]Range, error) {
	var all []Range
	for item := range strings.SplitSeq(text, ",") {
		var v [3]uint32
		parts := strings.Split(item, ":")
		for i, p := range parts {
			n, err := strconv.ParseUint(p, 10, 32)
			if err != nil || len(parts) != 3 {
				return nil, fmt.Errorf("id map %q is not CONTAINER:HOST:SIZE: %w", text, ErrInvalid)
			}
			v[i] = uint32(n)
		}
		r := Range{v[0], v[1], v[2]}
		if end := uint64(r.Size) - 1; r.Size == 0 || uint64(r.Container)+end >= 1<<32-1 || uint64(r.Host)+end >= 1<<32-1 {
			return nil, fmt.Errorf("id map %q leads beyond the last id: %w", text, ErrInvalid)
		}
		if all = append(all, r); len(all) > maxRanges {
			return nil, fmt.Errorf("id map of more than %d ranges: %w", maxRanges, ErrInvalid)
		}
	}
	return all, nil
}

// Options are the map as mount options, containerd's own words.
func (m *Map) Options() []string {
	text := func(ranges []Range) string {
		var all []string
		for _, r := range ranges {
			all = append(all, fmt.Sprintf("%d:%d:%d", r.Container, r.Host, r.Size))
		}
		return strings.Join(all, ",")
	}
	return []string{"uidmap=" + text(m.UIDs), "gidmap=" + text(m.GIDs)}
}

// Take finds the map in mount options, nil when there is none, and gives the others.
func Take(options []string) (ids *Map, rest []string, err error) {
	var uids, gids string
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, "uidmap="); ok {
			uids = v
		} else if v, ok := strings.CutPrefix(o, "gidmap="); ok {
			gids = v
		} else {
			rest = append(rest, o)
		}
	}
	ids, err = Parse(uids, gids)
	return ids, rest, err
}

// LookUp gives what id becomes, or id itself where the map has nothing to say. back goes from the host's to the container's.
func LookUp(ranges []Range, id uint32, back bool) uint32 {
	for _, r := range ranges {
		from, to := r.Container, r.Host
		if back {
			from, to = to, from
		}
		if id >= from && uint64(id) < uint64(from)+uint64(r.Size) {
			return id - from + to
		}
	}
	return id
}

// Overlaps tells whether an id of the host may be one of the container, too: then files half of which were changed cannot be told apart.
func Overlaps(ranges []Range) bool {
	for _, a := range ranges {
		for _, b := range ranges {
			if uint64(a.Container) < uint64(b.Host)+uint64(b.Size) && uint64(b.Host) < uint64(a.Container)+uint64(a.Size) {
				return true
			}
		}
	}
	return false
}

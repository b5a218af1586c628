package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// The labels, containerd's own, that ask for a snapshot whose files belong to a container's user namespace. A value is
// CONTAINER:HOST:SIZE, or several with commas: files that the snapshot keeps as CONTAINER's are seen as HOST's.
const (
	LabelUIDMap = "containerd.io/snapshot/uidmapping"
	LabelGIDMap = "containerd.io/snapshot/gidmapping"
)

// IDRange is a line of uid_map (user_namespaces(7)).
type IDRange struct {
	Container uint32 `json:"container"`
	Host      uint32 `json:"host"`
	Size      uint32 `json:"size"`
}

// IDMap maps the owners of a snapshot's files.
type IDMap struct {
	UIDs []IDRange `json:"uids"`
	GIDs []IDRange `json:"gids"`
}

// parseIDMap reads the two labels, or the two mount options; nil when there are none.
func parseIDMap(uids, gids string) (*IDMap, error) {
	if uids == "" && gids == "" {
		return nil, nil
	}
	m := &IDMap{}
	var err error
	if m.UIDs, err = parseRanges(uids); err == nil {
		m.GIDs, err = parseRanges(gids)
	}
	return m, err
}

// maxRanges is what the kernel takes (user_namespaces(7)).
const maxRanges = 340

func parseRanges(text string) ([]IDRange, error) {
	var all []IDRange
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
		r := IDRange{v[0], v[1], v[2]}
		if end := uint64(r.Size) - 1; r.Size == 0 || uint64(r.Container)+end >= 1<<32-1 || uint64(r.Host)+end >= 1<<32-1 {
			return nil, fmt.Errorf("id map %q leads beyond the last id: %w", text, ErrInvalid)
		}
		if all = append(all, r); len(all) > maxRanges {
			return nil, fmt.Errorf("id map of more than %d ranges: %w", maxRanges, ErrInvalid)
		}
	}
	return all, nil
}

// options are the map as mount options, containerd's own words.
func (m *IDMap) options() []string {
	text := func(ranges []IDRange) string {
		var all []string
		for _, r := range ranges {
			all = append(all, fmt.Sprintf("%d:%d:%d", r.Container, r.Host, r.Size))
		}
		return strings.Join(all, ",")
	}
	return []string{"uidmap=" + text(m.UIDs), "gidmap=" + text(m.GIDs)}
}

// takeIDMap finds the map in mount options, and gives the others.
func takeIDMap(options []string) (ids *IDMap, rest []string, err error) {
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
	ids, err = parseIDMap(uids, gids)
	return ids, rest, err
}

// lookUp gives what id becomes, or id itself where the map has nothing to say. back goes from the host's to the container's.
func lookUp(ranges []IDRange, id uint32, back bool) uint32 {
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

// overlaps tells whether an id of the host may be one of the container, too: then files half of which were changed cannot be told apart.
func overlaps(ranges []IDRange) bool {
	for _, a := range ranges {
		for _, b := range ranges {
			if uint64(a.Container) < uint64(b.Host)+uint64(b.Size) && uint64(b.Host) < uint64(a.Container)+uint64(a.Size) {
				return true
			}
		}
	}
	return false
}

// namespace makes a user namespace with this map, in the form in which mount_setattr(2) takes maps. It needs a process to be born in
// it; once its file is open the process can go.
func (m *IDMap) namespace() (file *os.File, err error) {
	write := func(pid int, name string, ranges []IDRange) error {
		var text strings.Builder
		for _, r := range ranges {
			fmt.Fprintf(&text, "%d %d %d\n", r.Container, r.Host, r.Size)
		}
		return os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, name), []byte(text.String()), 0)
	}
	p := new(launch.Plan).Add(
		launch.Step{Name: "clone3 user", Clone: &launch.Clone{Flags: unix.CLONE_NEWUSER}},
		launch.Step{Name: "map user and group ids", Returns: true, Do: func(r *launch.Run) error {
			err := errors.Join(write(r.PID(), "uid_map", m.UIDs), write(r.PID(), "gid_map", m.GIDs))
			if err == nil {
				file, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", r.PID()))
			}
			return err
		}},
		launch.Step{Name: "end", Side: launch.Child, Code: []launch.Instr{launch.Call(unix.SYS_EXIT_GROUP, launch.Int(0))}},
	)
	proc, err := launch.Start(context.Background(), p, launch.Options{})
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	if _, err := proc.Wait(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/apart"
	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"golang.org/x/sys/unix"
)

// Overlay is a Snapshotter that keeps the differences and lets overlayfs put them together.
type Overlay struct {
	*store
	// userXattr: what overlayfs notes in attributes it keeps in those that a user may set, because we are root of a user
	// namespace only (overlayfs.rst, "User xattr").
	userXattr bool
}

// NewOverlay opens the snapshots in dir, whose file system must be one that overlayfs takes as upper layer (not
// overlayfs itself, not NFS). ErrLocked while another process has it open.
func NewOverlay(dir string, options ...Option) (*Overlay, error) {
	if strings.ContainsAny(dir, `,:\`) {
		return nil, fmt.Errorf("snapshot directory %q: a comma, colon or backslash cannot stand in overlayfs's options: %w", dir, ErrInvalid)
	}
	s, err := openStore(dir, "overlay", os.RemoveAll, options)
	if err != nil {
		return nil, err
	}
	return &Overlay{s, layer.InUserNamespace()}, nil
}

// Prepare implements Snapshotter.
func (o *Overlay) Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error) {
	return o.create(ctx, Active, key, parent, labels)
}

// View implements Snapshotter.
func (o *Overlay) View(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error) {
	return o.create(ctx, View, key, parent, labels)
}

func (o *Overlay) create(ctx context.Context, kind Kind, key, parent string, labels map[string]string) ([]Mount, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, err := o.newRecordLocked(kind, key, parent, labels)
	if err != nil {
		return nil, err
	}
	dir, err := o.begin("fs", "work")
	if err != nil {
		return nil, fmt.Errorf("prepare snapshot %q: %w", key, err)
	}
	if err = o.likeParentLocked(dir, parent); err == nil && r.Shifted {
		err = o.shiftLocked(ctx, dir, r)
	}
	if err == nil {
		err = o.publishLocked(dir, r)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare snapshot %q: %w", key, err), os.RemoveAll(dir))
	}
	mounts, err := o.mountsLocked(r)
	if err != nil {
		if gone, undo := o.detachLocked(key); undo == nil {
			err = errors.Join(err, os.RemoveAll(gone))
		}
		return nil, err
	}
	return mounts, nil
}

// likeParentLocked makes the new upper directory like the parent's: overlayfs shows its owner and mode as those of "/".
func (o *Overlay) likeParentLocked(dir, parent string) error {
	if parent == "" {
		return nil
	}
	from, err := openTree(o.fs(o.records[parent]))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := openTree(filepath.Join(dir, "fs"))
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return copyAttributes(from, to)
}

// shiftLocked changes the owner of each file that the snapshot in dir, not published yet, will show; overlayfs copies it up for that.
func (o *Overlay) shiftLocked(ctx context.Context, dir string, r *record) error {
	chain, err := o.chainLocked(r)
	if err != nil {
		return err
	}
	ms, err := o.mounts(Active, filepath.Join(dir, "fs"), filepath.Join(dir, "work"), o.dirs(chain))
	if err != nil {
		return err
	}
	at := filepath.Join(dir, "merged")
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	err = apart.Do(func() error {
		err := MountAll(ms, at)
		if err == nil {
			err = shift(ctx, at, r.IDs, false)
		}
		return err
	})
	return errors.Join(err, os.Remove(at))
}

func (o *Overlay) dirs(chain []*record) []string {
	lowers := make([]string, len(chain))
	for i, p := range chain {
		lowers[i] = o.fs(p)
	}
	return lowers
}

// newRecordLocked checks what can be wrong with a request for a new snapshot.
func (s *store) newRecordLocked(kind Kind, key, parent string, labels map[string]string) (*record, error) {
	if key == "" {
		return nil, fmt.Errorf("snapshot without a key: %w", ErrInvalid)
	}
	if _, ok := s.records[key]; ok {
		return nil, fmt.Errorf("snapshot %q: %w", key, ErrExists)
	}
	if _, err := s.parentLocked(parent); err != nil {
		return nil, fmt.Errorf("snapshot %q: %w", key, err)
	}
	ids, err := idmap.Parse(labels[LabelUIDMap], labels[LabelGIDMap])
	if err != nil {
		return nil, fmt.Errorf("snapshot %q: %w: %w", key, err, ErrInvalid)
	}
	now := time.Now().UTC()
	r := &record{
		Version: 1, Kind: kind, Key: []byte(key), Parent: []byte(parent), Labels: maps.Clone(labels), Created: now, Updated: now, IDs: ids,
	}
	if ids == nil {
		return r, nil
	}
	if why := s.cannotMap(); why != nil {
		r.Shifted = true
		if idmap.Overlaps(ids.UIDs) || idmap.Overlaps(ids.GIDs) {
			return nil, fmt.Errorf("snapshot %q: the mount cannot be mapped (%w), and the ids of host and container overlap: %w", key, why, ErrInvalid)
		}
	}
	return r, nil
}

// Mounts implements Snapshotter.
func (o *Overlay) Mounts(_ context.Context, key string) ([]Mount, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, err := o.getLocked(key)
	if err != nil {
		return nil, err
	}
	return o.mountsLocked(r)
}

func (o *Overlay) mountsLocked(r *record) ([]Mount, error) {
	if r.Kind == Committed {
		return nil, fmt.Errorf("snapshot %q is committed and has no mounts, ask for a view: %w", r.Key, ErrInvalid)
	}
	chain, err := o.chainLocked(r)
	if err != nil {
		return nil, err
	}
	lowers := o.dirs(chain)
	if r.Shifted && r.Kind == View {
		lowers = append([]string{o.fs(r)}, lowers...) // where the files have their other owners
	}
	ms, err := o.mounts(r.Kind, o.fs(r), o.path(r.ID, "work"), lowers)
	return r.mapped(ms), err
}

// mapped adds the map to the mounts, where they are to do the mapping.
func (r *record) mapped(ms []Mount) []Mount {
	for i := range ms {
		if r.IDs != nil && !r.Shifted {
			ms[i].Options = append(ms[i].Options, r.IDs.Options()...)
		}
	}
	return ms
}

func (o *Overlay) mounts(kind Kind, upper, work string, lowers []string) ([]Mount, error) {
	ms, err := overlayMounts(kind, upper, work, lowers)
	for i := range ms {
		if o.userXattr && ms[i].Type == "overlay" {
			ms[i].Options = append(ms[i].Options, "userxattr")
		}
	}
	return ms, err
}

// maxLowers is OVL_MAX_STACK of the kernel.
const maxLowers = 500

// overlayMounts is pure: the mounts for files in upper over lowers, nearest first.
func overlayMounts(kind Kind, upper, work string, lowers []string) ([]Mount, error) {
	if len(lowers) > maxLowers {
		return nil, fmt.Errorf("%d layers, where overlayfs takes %d: %w", len(lowers), maxLowers, ErrInvalid)
	}
	//ex:begin rootfs.overlay
	options := []string{"lowerdir=" + strings.Join(lowers, ":")} // the one on top comes first
	switch {
	case len(lowers) == 0 && kind == Active:
		return []Mount{{Type: "bind", Source: upper, Options: []string{"rw", "rbind"}}}, nil
	case len(lowers) == 0:
		return []Mount{{Type: "bind", Source: upper, Options: []string{"ro", "rbind"}}}, nil
	case len(lowers) == 1 && kind == View:
		return []Mount{{Type: "bind", Source: lowers[0], Options: []string{"ro", "rbind"}}}, nil
	case kind == View:
		options = append(options, "ro")
	default:
		// upperdir takes what is written; workdir is an empty directory on the same file system, where overlayfs prepares what
		// it then renames (Documentation/filesystems/overlayfs.rst, "Upper and Lower").
		options = append([]string{"workdir=" + work, "upperdir=" + upper}, options...)
	}
	return []Mount{{Type: "overlay", Source: "overlay", Options: options}}, nil
	//ex:stub
	// return nil, todo.Exercise("rootfs.overlay")
	//ex:end rootfs.overlay
}

// Commit implements Snapshotter.
func (o *Overlay) Commit(ctx context.Context, name, key string, labels map[string]string) error {
	return o.commit(ctx, name, key, nil, labels)
}

// CommitOn implements Rebaser.
func (o *Overlay) CommitOn(ctx context.Context, name, key, parent string, labels map[string]string) error {
	return o.commit(ctx, name, key, &parent, labels)
}

var (
	_ Snapshotter = (*Overlay)(nil)
	_ Rebaser     = (*Overlay)(nil)
)

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Copy is a Snapshotter that copies the parent. It needs nothing of the file system, and where that can share blocks
// between files (btrfs, xfs) the copies share them.
type Copy struct {
	*store
	// branch makes the directory to: empty, or like from when that is not "".
	branch func(ctx context.Context, from, to string) error
}

// NewCopy opens the snapshots in dir. ErrLocked while another process has it open.
func NewCopy(dir string, options ...Option) (*Copy, error) {
	s, err := openStore(dir, "bind", os.RemoveAll, options)
	if err != nil {
		return nil, err
	}
	return &Copy{s, copied}, nil
}

// Prepare implements Snapshotter.
func (c *Copy) Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error) {
	return c.create(ctx, Active, key, parent, labels)
}

// View implements Snapshotter. It shows the parent itself.
func (c *Copy) View(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error) {
	return c.create(ctx, View, key, parent, labels)
}

func (c *Copy) create(ctx context.Context, kind Kind, key, parent string, labels map[string]string) ([]Mount, error) {
	c.mu.Lock()
	r, err := c.newRecordLocked(kind, key, parent, labels)
	from := ""
	if p := c.records[parent]; err == nil && p != nil && (kind == Active || r.Shifted) {
		from = c.fs(p)
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	dir, err := c.begin()
	if err != nil {
		return nil, fmt.Errorf("prepare snapshot %q: %w", key, err)
	}
	err = c.branch(ctx, from, filepath.Join(dir, "fs")) // the long part, without the lock
	if err == nil && r.Shifted {
		err = shift(ctx, filepath.Join(dir, "fs"), r.IDs, false)
	}
	if err == nil {
		var mounts []Mount
		if mounts, err = c.finish(dir, kind, key, parent, labels); err == nil {
			return mounts, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("prepare snapshot %q: %w", key, err), c.discard(dir))
}

func copied(ctx context.Context, from, to string) error {
	if err := makeRoot(to); err != nil || from == "" {
		return err
	}
	return copyTree(ctx, from, to)
}

// finish checks again: another may have taken the key, or removed the parent, during the copy.
func (c *Copy) finish(dir string, kind Kind, key, parent string, labels map[string]string) ([]Mount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.newRecordLocked(kind, key, parent, labels)
	if err != nil {
		return nil, err
	}
	if err := c.publishLocked(dir, r); err != nil {
		return nil, err
	}
	return c.mountsLocked(r)
}

// Mounts implements Snapshotter.
func (c *Copy) Mounts(_ context.Context, key string) ([]Mount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.getLocked(key)
	if err != nil {
		return nil, err
	}
	return c.mountsLocked(r)
}

func (c *Copy) mountsLocked(r *record) ([]Mount, error) {
	switch r.Kind {
	case Active:
		return r.mapped([]Mount{{Type: "bind", Source: c.fs(r), Options: []string{"rw", "rbind"}}}), nil
	case View:
		source, err := c.parentLocked(string(r.Parent))
		if err != nil {
			return nil, fmt.Errorf("snapshot %q: %w", r.Key, err)
		}
		if source == nil || r.Shifted {
			source = r
		}
		return r.mapped([]Mount{{Type: "bind", Source: c.fs(source), Options: []string{"ro", "rbind"}}}), nil
	}
	return nil, fmt.Errorf("snapshot %q is committed and has no mounts, ask for a view: %w", r.Key, ErrInvalid)
}

// Commit implements Snapshotter.
func (c *Copy) Commit(ctx context.Context, name, key string, labels map[string]string) error {
	return c.commit(ctx, name, key, nil, labels)
}

var _ Snapshotter = (*Copy)(nil)

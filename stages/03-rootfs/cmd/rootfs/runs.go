package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"golang.org/x/sys/unix"
)

// run is a running `rootfs run`: the directory runs/KEY, locked while it lives, holds the mount point. The mount itself exists only in
// the program's mount namespace. So after kill -9 there is a directory that nobody has locked and a snapshot of that key, and the
// next rootfs removes both.
type run struct {
	dir  string
	key  string
	lock *os.File
	away string // a mount point elsewhere, or ""
}

func (r *run) root() string { return filepath.Join(r.dir, "rootfs") }

// reachable is a mount point that root of a user namespace can go to, who is nobody in our directories.
func (r *run) reachable() (string, error) {
	var err error
	if r.away, err = os.MkdirTemp("", "rootfs-run-"); err != nil {
		return "", err
	}
	return r.away, os.Chmod(r.away, 0o755)
}

func beginRun(root string) (*run, error) {
	r := &run{key: "run-" + rand.Text()}
	var err error
	if r.dir, err = filepath.Abs(filepath.Join(root, "runs", r.key)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(r.dir), 0o700); err != nil {
		return nil, err
	}
	tmp := filepath.Join(filepath.Dir(r.dir), "."+r.key)
	if err := os.MkdirAll(filepath.Join(tmp, "rootfs"), 0o755); err != nil {
		return nil, err
	}
	if r.lock, err = lockRun(tmp); err != nil {
		return nil, err
	}
	return r, os.Rename(tmp, r.dir) // seen by others only once it is locked
}

func lockRun(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "flock", Path: dir, Err: err}, f.Close())
	}
	return f, nil
}

func (r *run) end(ctx context.Context, g *globals) error {
	err := g.with(ctx, func(s *state) error {
		if err := s.snapshots.Remove(ctx, r.key); err != nil && !errors.Is(err, snapshot.ErrNotFound) {
			return err
		}
		return os.RemoveAll(r.dir)
	})
	if r.away != "" {
		err = errors.Join(err, os.Remove(r.away))
	}
	return errors.Join(err, r.lock.Close())
}

// sweepRuns removes what runs left that were killed.
func sweepRuns(ctx context.Context, root string, s snapshot.Snapshotter) error {
	entries, err := os.ReadDir(filepath.Join(root, "runs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(root, "runs", e.Name())
		lock, err := lockRun(dir)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) || e.Name()[0] == '.' {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.Remove(ctx, e.Name()); err != nil && !errors.Is(err, snapshot.ErrNotFound) {
			return errors.Join(fmt.Errorf("sweep %s: %w", e.Name(), err), lock.Close())
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/stages/03-rootfs/apart"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
)

// forest is the trees that are looked at together.
type forest struct {
	*state
	dir   string // holds the mount points
	views []string
}

// look runs f with a forest, apart. Nothing of it is left.
func (s *state) look(ctx context.Context, f func(*forest) error) error {
	dir, err := os.MkdirTemp("", "rootfs-trees-")
	if err != nil {
		return err
	}
	t := &forest{state: s, dir: dir}
	err = apart.Do(func() error { return f(t) })
	for _, v := range t.views {
		err = errors.Join(err, s.snapshots.Remove(context.WithoutCancel(ctx), v))
	}
	entries, more := os.ReadDir(dir)
	for _, e := range entries { // empty: the mounts were another namespace's
		more = errors.Join(more, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(err, more, os.Remove(dir))
}

// tree gives a directory with what a committed snapshot shows; "" shows nothing.
func (t *forest) tree(ctx context.Context, name string) (string, error) {
	dir, err := os.MkdirTemp(t.dir, "")
	if err != nil || name == "" {
		return dir, err
	}
	info, err := t.snapshots.Stat(ctx, name)
	if err != nil {
		return "", err
	}
	var mounts []snapshot.Mount
	if info.Kind == snapshot.Committed {
		key := "look-" + rand.Text()
		mounts, err = t.snapshots.View(ctx, key, name, map[string]string{snapshot.LabelTransient: "look"})
		if err == nil {
			t.views = append(t.views, key)
		}
	} else {
		mounts, err = t.snapshots.Mounts(ctx, name)
	}
	if err != nil {
		return "", err
	}
	return dir, snapshot.MountAll(mounts, dir)
}

// treeOf finds what a word means: a directory, an image, or a snapshot, which may be shortened as `rootfs tree` shows it.
func (t *forest) treeOf(ctx context.Context, word string) (string, error) {
	if strings.ContainsRune(word, '/') || word == "." || word == ".." {
		if fi, err := os.Stat(word); err == nil && fi.IsDir() {
			return word, nil
		}
	}
	name, err := t.snapshotOf(ctx, word)
	if err != nil {
		return "", err
	}
	return t.tree(ctx, name)
}

func (t *forest) snapshotOf(ctx context.Context, word string) (string, error) {
	var found []string
	err := t.snapshots.Walk(ctx, func(i snapshot.Info) error {
		if i.Name == word || len(word) >= 4 && strings.HasPrefix(strings.TrimPrefix(i.Name, "sha256:"), word) {
			found = append(found, i.Name)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(found) > 1 {
		return "", fmt.Errorf("%q: %d snapshots begin so", word, len(found))
	}
	if len(found) == 1 {
		return found[0], nil
	}
	img, err := t.find(word, nil)
	if errors.Is(err, layout.ErrNotFound) || errors.Is(err, pull.ErrReference) {
		return "", fmt.Errorf("%q: no directory, snapshot or image: %w", word, layout.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	return pull.Unpack(ctx, img, t.store, t.snapshots, pull.Options{})
}

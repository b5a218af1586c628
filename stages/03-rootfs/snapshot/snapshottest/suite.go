// Package snapshottest holds what every Snapshotter must do.
package snapshottest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

// Run runs the suite. open opens the snapshots in a directory; it is called again after Close to see what was kept.
// It makes real mounts and needs root.
func Run(t *testing.T, open func(dir string) (snapshot.Snapshotter, error)) {
	RunBelow(t, t.TempDir(), open)
}

// RunBelow is Run with directories below base, for a Snapshotter that needs a file system of its own.
func RunBelow(t *testing.T, base string, open func(dir string) (snapshot.Snapshotter, error)) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: real mounts")
	}
	tests := []struct {
		name string
		run  func(*testing.T, *bed)
	}{
		{"layers stack", layersStack},
		{"a child hides what it removes", childHides},
		{"a parent never changes", parentNeverChanges},
		{"a view is read-only", viewIsReadOnly},
		{"attributes survive", attributesSurvive},
		{"what is refused", refused},
		{"names of any bytes", anyBytes},
		{"labels", labels},
		{"more layers than fit on a page", manyLayers},
		{"walk goes parents first", walkOrder},
		{"usage", usage},
		{"everything is there after a restart", restart},
		{"half-made ones are swept", sweep},
		{"one process at a time", locked},
		{"rebase", rebase},
		{"other owners for a user namespace", otherOwners},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(base, "")
			require.NoError(t, err)
			b := &bed{T: t, dir: dir, open: open}
			b.reopen()
			t.Cleanup(func() {
				for _, m := range b.mounted {
					require.NoError(t, snapshot.UnmountAll(m))
				}
				require.NoError(t, b.s.Close())
			})
			tt.run(t, b)
		})
	}
}

// bed is what one test works on.
type bed struct {
	*testing.T
	dir     string
	open    func(string) (snapshot.Snapshotter, error)
	s       snapshot.Snapshotter
	mounted []string
}

func (b *bed) reopen() {
	b.Helper()
	if b.s != nil {
		require.NoError(b, b.s.Close())
	}
	s, err := b.open(filepath.Join(b.dir, "state"))
	require.NoError(b, err)
	b.s = s
}

func (b *bed) ctx() context.Context { return b.Context() }

// mount mounts and gives the mount point.
func (b *bed) mount(ms []snapshot.Mount) string {
	b.Helper()
	target, err := os.MkdirTemp(b.dir, "mnt")
	require.NoError(b, err)
	require.NoError(b, snapshot.MountAll(ms, target))
	b.mounted = append(b.mounted, target)
	return target
}

func (b *bed) unmount(target string) {
	b.Helper()
	require.NoError(b, snapshot.UnmountAll(target))
	entries, err := os.ReadDir(target)
	require.NoError(b, err)
	require.Empty(b, entries, "nothing may be left where it was mounted")
}

// layer makes a committed snapshot by what change does.
func (b *bed) layer(name, parent string, change func(dir string)) {
	b.Helper()
	ms, err := b.s.Prepare(b.ctx(), "prepare-"+name, parent, nil)
	require.NoError(b, err)
	target := b.mount(ms)
	change(target)
	b.unmount(target)
	require.NoError(b, b.s.Commit(b.ctx(), name, "prepare-"+name, nil))
}

// view gives a mount point that shows name.
func (b *bed) view(name string) string {
	b.Helper()
	ms, err := b.s.View(b.ctx(), "view-"+name, name, nil)
	require.NoError(b, err)
	return b.mount(ms)
}

func (b *bed) write(dir, name, text string) {
	b.Helper()
	require.NoError(b, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func (b *bed) read(dir, name string) string {
	b.Helper()
	p, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return "(none)"
	}
	require.NoError(b, err)
	return string(p)
}

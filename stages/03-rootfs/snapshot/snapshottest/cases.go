package snapshottest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func layersStack(t *testing.T, b *bed) {
	b.layer("one", "", func(dir string) { b.write(dir, "a", "a1"); b.write(dir, "d/b", "b1") })
	b.layer("two", "one", func(dir string) { b.write(dir, "d/b", "b2"); b.write(dir, "d/c", "c2") })
	ms, err := b.s.Prepare(b.ctx(), "web", "two", nil)
	require.NoError(t, err)
	dir := b.mount(ms)
	require.Equal(t, []string{"a1", "b2", "c2"}, []string{b.read(dir, "a"), b.read(dir, "d/b"), b.read(dir, "d/c")})
	b.write(dir, "a", "mine")

	again, err := b.s.Mounts(b.ctx(), "web")
	require.NoError(t, err)
	require.Equal(t, ms, again, "Mounts says what Prepare said")
	require.Equal(t, "a1", b.read(b.view("two"), "a"))
	require.NoError(t, snapshot.UnmountAll(dir))
	require.NoError(t, b.s.Remove(b.ctx(), "web"))
}

func childHides(t *testing.T, b *bed) {
	b.layer("one", "", func(dir string) {
		b.write(dir, "gone", "x")
		b.write(dir, "dir/old", "x")
		b.write(dir, "tree/x/y", "x")
	})
	b.layer("two", "one", func(dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "gone")))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "tree")))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "dir")))
		b.write(dir, "dir/new", "y")
	})
	dir := b.view("two")
	require.Equal(t, "(none)", b.read(dir, "gone"))
	require.NoDirExists(t, filepath.Join(dir, "tree"))
	require.Equal(t, "(none)", b.read(dir, "dir/old"))
	require.Equal(t, "y", b.read(dir, "dir/new"))
	require.Equal(t, "x", b.read(b.view("one"), "gone"), "the parent still has it")
}

func parentNeverChanges(t *testing.T, b *bed) {
	b.layer("base", "", func(dir string) { b.write(dir, "f", "base") })
	for i := range 3 {
		ms, err := b.s.Prepare(b.ctx(), fmt.Sprint("c", i), "base", nil)
		require.NoError(t, err)
		dir := b.mount(ms)
		require.Equal(t, "base", b.read(dir, "f"))
		b.write(dir, "f", fmt.Sprint("changed by ", i))
		require.NoError(t, os.Chmod(filepath.Join(dir, "f"), 0o600))
	}
	require.Equal(t, "base", b.read(b.view("base"), "f"))
}

func viewIsReadOnly(t *testing.T, b *bed) {
	b.layer("one", "", func(dir string) { b.write(dir, "f", "1") })
	b.layer("two", "one", func(dir string) { b.write(dir, "f", "2") })
	for _, name := range []string{"one", "two"} {
		dir := b.view(name)
		require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644), unix.EROFS, name)
		require.ErrorIs(t, b.s.Commit(b.ctx(), "x", "view-"+name, nil), snapshot.ErrInvalid)
	}
	ms, err := b.s.View(b.ctx(), "empty", "", nil)
	require.NoError(t, err)
	require.ErrorIs(t, os.WriteFile(filepath.Join(b.mount(ms), "new"), nil, 0o644), unix.EROFS)
}

func attributesSurvive(t *testing.T, b *bed) {
	when := time.Date(2001, 2, 3, 4, 5, 6, 789000000, time.UTC)
	privileged, note := !inUserNamespace(), "trusted.note" // devices and trusted attributes are the machine's root's
	if !privileged {
		note = "user.note"
	}
	b.layer("one", "", func(dir string) {
		p := filepath.Join(dir, "f")
		b.write(dir, "f", "x")
		require.NoError(t, os.Link(p, filepath.Join(dir, "hard")))
		require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "soft")))
		if privileged {
			require.NoError(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		}
		require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o640))
		require.NoError(t, os.Lchown(filepath.Join(dir, "soft"), 7, 8))
		require.NoError(t, os.Chown(p, 1000, 1001))
		require.NoError(t, os.Chmod(p, os.ModeSetuid|0o751))
		require.NoError(t, unix.Setxattr(p, note, []byte("hello"), 0))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
		require.NoError(t, os.Chmod(filepath.Join(dir, "d"), os.ModeSticky|0o777))
		require.NoError(t, os.Chmod(dir, 0o750))
		require.NoError(t, os.Chown(dir, 3, 4))
		require.NoError(t, os.Chtimes(p, when, when))
		require.NoError(t, os.Chtimes(filepath.Join(dir, "d"), when, when))
	})
	ms, err := b.s.Prepare(b.ctx(), "c", "one", nil)
	require.NoError(t, err)
	dir := b.mount(ms)

	type seen struct {
		mode, uid, gid uint32
		nlink, rdev    uint64
		mtime          time.Time
	}
	look := func(name string) seen {
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(dir, name), &st))
		return seen{st.Mode, st.Uid, st.Gid, uint64(st.Nlink), uint64(st.Rdev), time.Unix(st.Mtim.Unix()).UTC()}
	}
	require.Equal(t, seen{unix.S_IFREG | 0o4751, 1000, 1001, 2, 0, when}, look("f"))
	require.Equal(t, look("f"), look("hard"))
	root := look(".")
	require.Equal(t, [3]uint32{unix.S_IFDIR | 0o750, 3, 4}, [3]uint32{root.mode, root.uid, root.gid}, "the root itself")
	require.Equal(t, [3]uint32{unix.S_IFLNK | 0o777, 7, 8}, [3]uint32{look("soft").mode, look("soft").uid, look("soft").gid})
	if privileged {
		require.Equal(t, [2]any{uint32(unix.S_IFCHR | 0o644), uint64(unix.Mkdev(1, 3))}, [2]any{look("null").mode, look("null").rdev})
	}
	require.Equal(t, uint32(unix.S_IFIFO|0o640), look("pipe").mode)
	require.Equal(t, [2]any{uint32(unix.S_IFDIR | 0o1777), when}, [2]any{look("d").mode, look("d").mtime})
	p := make([]byte, 100)
	n, err := unix.Getxattr(filepath.Join(dir, "f"), note, p)
	require.NoError(t, err)
	require.Equal(t, "hello", string(p[:n]))
}

func refused(t *testing.T, b *bed) {
	b.layer("one", "", func(string) {})
	ctx := b.ctx()
	_, err := b.s.Prepare(ctx, "a", "", nil)
	require.NoError(t, err)
	prepare := func(key, parent string) error { _, err := b.s.Prepare(ctx, key, parent, nil); return err }
	view := func(key, parent string) error { _, err := b.s.View(ctx, key, parent, nil); return err }
	mounts := func(key string) error { _, err := b.s.Mounts(ctx, key); return err }
	stat := func(key string) error { _, err := b.s.Stat(ctx, key); return err }
	usage := func(key string) error { _, err := b.s.Usage(ctx, key); return err }
	rows := map[string]struct{ want, got error }{
		"prepare a key in use":      {snapshot.ErrExists, prepare("a", "")},
		"prepare a name in use":     {snapshot.ErrExists, prepare("one", "")},
		"prepare without a key":     {snapshot.ErrInvalid, prepare("", "")},
		"prepare on nothing known":  {snapshot.ErrNotFound, prepare("b", "nobody")},
		"prepare on an active one":  {snapshot.ErrInvalid, prepare("b", "a")},
		"view on an active one":     {snapshot.ErrInvalid, view("b", "a")},
		"commit nothing":            {snapshot.ErrNotFound, b.s.Commit(ctx, "x", "nobody", nil)},
		"commit a committed one":    {snapshot.ErrInvalid, b.s.Commit(ctx, "x", "one", nil)},
		"commit to a name in use":   {snapshot.ErrExists, b.s.Commit(ctx, "one", "a", nil)},
		"commit without a name":     {snapshot.ErrInvalid, b.s.Commit(ctx, "", "a", nil)},
		"mounts of a committed one": {snapshot.ErrInvalid, mounts("one")},
		"mounts of nothing":         {snapshot.ErrNotFound, mounts("nobody")},
		"stat of nothing":           {snapshot.ErrNotFound, stat("nobody")},
		"usage of nothing":          {snapshot.ErrNotFound, usage("nobody")},
		"remove nothing":            {snapshot.ErrNotFound, b.s.Remove(ctx, "nobody")},
	}
	for name, row := range rows {
		require.ErrorIs(t, row.got, row.want, name)
	}
	_, err = b.s.Prepare(ctx, "child", "one", nil)
	require.NoError(t, err)
	require.ErrorIs(t, b.s.Remove(ctx, "one"), snapshot.ErrInvalid, "it has a child")
	require.NoError(t, b.s.Remove(ctx, "child"))
	require.NoError(t, b.s.Remove(ctx, "one"))
	require.NoError(t, b.s.Remove(ctx, "a"))
}

func anyBytes(t *testing.T, b *bed) {
	keys := []string{"with/slash", "../../escape", "\xff\xfe not utf-8", "sp ace\n\x00", ".", "..", ".new-x", "1", string(make([]byte, 5000))}
	for _, key := range keys {
		_, err := b.s.Prepare(b.ctx(), key, "", map[string]string{"k": key})
		require.NoError(t, err, "%q", key)
	}
	b.reopen()
	for _, key := range keys {
		info, err := b.s.Stat(b.ctx(), key)
		require.NoError(t, err, "%q", key)
		require.Equal(t, key, info.Name)
		require.NoError(t, b.s.Commit(b.ctx(), "committed "+key, key, nil))
	}
	_, err := os.Stat(filepath.Join(b.dir, "escape"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// An image may have more layers than fit into the one page of mount(2)'s options.
func manyLayers(t *testing.T, b *bed) {
	parent := ""
	for i := range 127 { // as many as Docker allows
		key := fmt.Sprint("k", i)
		ms, err := b.s.Prepare(b.ctx(), key, parent, nil)
		require.NoError(t, err)
		if i%42 == 0 {
			target := b.mount(ms)
			b.write(target, fmt.Sprint("f", i), "x")
			b.unmount(target)
		}
		parent = fmt.Sprint("layer", i)
		require.NoError(t, b.s.Commit(b.ctx(), parent, key, nil))
	}
	dir := b.view(parent)
	require.Equal(t, "x", b.read(dir, "f0"))
	require.Equal(t, "x", b.read(dir, "f126"))
}

func labels(t *testing.T, b *bed) {
	ctx := b.ctx()
	_, err := b.s.Prepare(ctx, "a", "", map[string]string{"x": "1", "y": "2"})
	require.NoError(t, err)
	update := func(labels map[string]string, paths ...string) map[string]string {
		info, err := b.s.Update(ctx, snapshot.Info{Name: "a", Labels: labels}, paths...)
		require.NoError(t, err)
		return info.Labels
	}
	require.Equal(t, map[string]string{"x": "9", "y": "2"}, update(map[string]string{"x": "9", "y": "ignored"}, "labels.x"))
	require.Equal(t, map[string]string{"y": "2"}, update(nil, "labels.x"))
	require.Equal(t, map[string]string{"z": "3"}, update(map[string]string{"z": "3"}, "labels"))
	require.Equal(t, map[string]string{"w": "4"}, update(map[string]string{"w": "4"}))
	_, err = b.s.Update(ctx, snapshot.Info{Name: "a"}, "parent")
	require.ErrorIs(t, err, snapshot.ErrInvalid)
	_, err = b.s.Update(ctx, snapshot.Info{Name: "nobody"})
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	b.reopen()
	info, err := b.s.Stat(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"w": "4"}, info.Labels)
	require.NoError(t, b.s.Commit(ctx, "b", "a", map[string]string{"v": "5"}))
	info, err = b.s.Stat(ctx, "b")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"v": "5"}, info.Labels)
}

func walkOrder(t *testing.T, b *bed) {
	b.layer("z", "", func(string) {})
	b.layer("m", "z", func(string) {})
	b.layer("a", "m", func(string) {})
	_, err := b.s.View(b.ctx(), "b", "a", nil)
	require.NoError(t, err)
	type row struct {
		kind         snapshot.Kind
		name, parent string
	}
	var got []row
	require.NoError(t, b.s.Walk(b.ctx(), func(i snapshot.Info) error {
		got = append(got, row{i.Kind, i.Name, i.Parent})
		return nil
	}))
	require.Equal(t, []row{
		{snapshot.Committed, "z", ""},
		{snapshot.Committed, "m", "z"},
		{snapshot.Committed, "a", "m"},
		{snapshot.View, "b", "a"},
	}, got)
	require.ErrorIs(t, b.s.Walk(b.ctx(), func(snapshot.Info) error { return context.Canceled }), context.Canceled)
}

func usage(t *testing.T, b *bed) {
	ms, err := b.s.Prepare(b.ctx(), "a", "", nil)
	require.NoError(t, err)
	dir := b.mount(ms)
	b.write(dir, "f", string(make([]byte, 1<<20)))
	require.NoError(t, os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "g")))
	b.unmount(dir)
	for _, key := range []string{"a", "committed"} {
		if key == "committed" {
			require.NoError(t, b.s.Commit(b.ctx(), "committed", "a", nil))
		}
		u, err := b.s.Usage(b.ctx(), key)
		require.NoError(t, err)
		require.Equal(t, int64(2), u.Inodes, "the root and one file with two names")
		require.InDelta(t, 1<<20, u.Size, 64<<10)
	}
}

func restart(t *testing.T, b *bed) {
	b.layer("one", "", func(dir string) { b.write(dir, "f", "1") })
	ms, err := b.s.Prepare(b.ctx(), "web", "one", map[string]string{"l": "v"})
	require.NoError(t, err)
	before := b.all()
	b.reopen()
	require.Equal(t, before, b.all())
	again, err := b.s.Mounts(b.ctx(), "web")
	require.NoError(t, err)
	require.Equal(t, ms, again)
}

func (b *bed) all() []snapshot.Info {
	b.Helper()
	var all []snapshot.Info
	require.NoError(b, b.s.Walk(b.ctx(), func(i snapshot.Info) error { all = append(all, i); return nil }))
	return all
}

func sweep(t *testing.T, b *bed) {
	b.layer("one", "", func(dir string) { b.write(dir, "f", "1") })
	before := b.all()
	dir := filepath.Join(b.dir, "state", "snapshots")
	b.write(dir, ".new-half/fs/f", "x")
	b.write(dir, ".gone-7/fs/f", "x")
	b.write(dir, "notes.txt", "somebody's own")
	_, err := b.s.Prepare(b.ctx(), "unpacking", "one", map[string]string{snapshot.LabelTransient: "1"})
	require.NoError(t, err)
	b.reopen()
	require.Equal(t, before, b.all())
	require.NoDirExists(t, filepath.Join(dir, ".new-half"))
	require.NoDirExists(t, filepath.Join(dir, ".gone-7"))
	require.FileExists(t, filepath.Join(dir, "notes.txt"))
}

func locked(t *testing.T, b *bed) {
	_, err := b.open(filepath.Join(b.dir, "state"))
	require.ErrorIs(t, err, snapshot.ErrLocked)
}

func rebase(t *testing.T, b *bed) {
	r, ok := b.s.(snapshot.Rebaser)
	if !ok {
		t.Skip("needs a Rebaser: the content of a snapshot depends on its parent's here")
	}
	b.layer("one", "", func(dir string) { b.write(dir, "f", "1"); b.write(dir, "g", "1") })
	ms, err := b.s.Prepare(b.ctx(), "k", "", nil)
	require.NoError(t, err)
	dir := b.mount(ms)
	b.write(dir, "f", "2")
	b.unmount(dir)
	require.ErrorIs(t, r.CommitOn(b.ctx(), "two", "k", "nobody", nil), snapshot.ErrNotFound)
	require.NoError(t, r.CommitOn(b.ctx(), "two", "k", "one", nil))
	dir = b.view("two")
	require.Equal(t, []string{"2", "1"}, []string{b.read(dir, "f"), b.read(dir, "g")})
	info, err := b.s.Stat(b.ctx(), "two")
	require.NoError(t, err)
	require.Equal(t, "one", info.Parent)
}

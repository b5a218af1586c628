package snapshottest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mapLabels ask for a snapshot for a user namespace whose root is 100000 outside.
func mapLabels() map[string]string {
	return map[string]string{snapshot.LabelUIDMap: "0:100000:65536", snapshot.LabelGIDMap: "0:200000:65536"}
}

// owned is what of a file depends on whose it is.
type owned struct {
	uid, gid, mode uint32
	capable        bool
}

func (b *bed) owned(dir, name string) owned {
	b.Helper()
	var st unix.Stat_t
	require.NoError(b, unix.Lstat(filepath.Join(dir, name), &st))
	p := make([]byte, 64)
	_, err := unix.Lgetxattr(filepath.Join(dir, name), "security.capability", p)
	return owned{st.Uid, st.Gid, st.Mode & 0o7777, err == nil}
}

// ping is the attribute of a file that may use raw sockets: struct vfs_cap_data, revision 2 (capabilities(7)).
const ping = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// otherOwners: the files of a parent belong to a user namespace's root in one child and to the host's in another, and what that root
// makes is root's again when it is committed.
func otherOwners(t *testing.T, b *bed) {
	if inUserNamespace() {
		t.Skip("needs the initial user namespace: only there can the ids of a mount be mapped")
	}
	b.layer("one", "", func(dir string) {
		for name, id := range map[string]int{"root's": 0, "user's": 1000, "ping": 0, "suid": 1000, "d/deep": 5} {
			b.write(dir, name, "x")
			require.NoError(t, os.Chown(filepath.Join(dir, name), id, id))
		}
		require.NoError(t, os.Chmod(filepath.Join(dir, "suid"), os.ModeSetuid|0o755))
		require.NoError(t, unix.Setxattr(filepath.Join(dir, "ping"), "security.capability", []byte(ping), 0))
		require.NoError(t, os.Link(filepath.Join(dir, "root's"), filepath.Join(dir, "linked")))
		require.NoError(t, os.Lchown(dir, 0, 0))
	})
	b.layer("two", "one", func(dir string) { b.write(dir, "second", "y") })
	for _, parent := range []string{"one", "two"} {
		ms, err := b.s.Prepare(b.ctx(), "c-"+parent, parent, mapLabels())
		require.NoError(t, err)
		dir := b.mount(ms)
		b.seenInside(dir)
		makeAs(t, dir, 100000, 200000)
		require.Equal(t, owned{100000, 200000, 0o644, false}, b.owned(dir, "new"))
		b.unmount(dir)

		ms, err = b.s.View(b.ctx(), "v-"+parent, parent, mapLabels())
		require.NoError(t, err)
		dir = b.mount(ms)
		b.seenInside(dir)
		require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644), unix.EROFS)
		require.NoError(t, b.s.Commit(b.ctx(), "committed-"+parent, "c-"+parent, nil))

		dir = b.view("committed-" + parent)
		require.Equal(t, map[string]owned{
			"root's": {0, 0, 0o644, false}, "linked": {0, 0, 0o644, false}, "user's": {1000, 1000, 0o644, false}, "ping": {0, 0, 0o644, true},
			"suid": {1000, 1000, 0o4755, false}, "d/deep": {5, 5, 0o644, false}, "new": {0, 0, 0o644, false}, ".": {0, 0, 0o755, false},
		}, b.ownedAll(dir, "root's", "linked", "user's", "ping", "suid", "d/deep", "new", "."))
		got := make([]byte, 64)
		n, err := unix.Lgetxattr(filepath.Join(dir, "ping"), "security.capability", got)
		require.NoError(t, err)
		require.Equal(t, ping, string(got[:n]))
	}
	require.Equal(t, owned{0, 0, 0o644, false}, b.owned(b.view("one"), "root's"), "the parent is as it was")
	for uids, gids := range map[string]string{"0:1": "0:1:1", "x": "x", "0:100000:0": "0:1:1", "0:4294967295:1": "0:1:1", "0:1:1": ""} {
		_, err := b.s.Prepare(b.ctx(), "bad", "one", map[string]string{snapshot.LabelUIDMap: uids, snapshot.LabelGIDMap: gids})
		require.ErrorIs(t, err, snapshot.ErrInvalid, "%s %s", uids, gids)
	}
}

func (b *bed) ownedAll(dir string, names ...string) map[string]owned {
	b.Helper()
	all := map[string]owned{}
	for _, name := range names {
		all[name] = b.owned(dir, name)
	}
	return all
}

// seenInside checks what the host sees of the files of a user namespace.
func (b *bed) seenInside(dir string) {
	b.Helper()
	require.Equal(b, map[string]owned{
		"root's": {100000, 200000, 0o644, false}, "linked": {100000, 200000, 0o644, false}, "user's": {101000, 201000, 0o644, false},
		"ping": {100000, 200000, 0o644, true}, "suid": {101000, 201000, 0o4755, false}, "d/deep": {100005, 200005, 0o644, false}, ".": {100000, 200000, 0o755, false},
	}, b.ownedAll(dir, "root's", "linked", "user's", "ping", "suid", "d/deep", "."))
}

// makeAs makes the file "new" as somebody else, in a thread that ends with it. The directory is opened before, because the way to it is the host's.
func makeAs(t *testing.T, dir string, uid, gid int) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(at)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Setfsgid(gid); err != nil {
			done <- err
			return
		}
		if err := unix.Setfsuid(uid); err != nil {
			done <- err
			return
		}
		fd, err := unix.Openat(at, "new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err == nil {
			err = unix.Close(fd)
		}
		done <- err
	}()
	require.NoError(t, <-done)
}

// inUserNamespace tells whether ids are not those of the machine (user_namespaces(7): the initial one maps all to themselves).
func inUserNamespace() bool {
	p, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && string(p) != "         0          0 4294967295\n"
}

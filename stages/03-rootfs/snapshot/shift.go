package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"golang.org/x/sys/unix"
)

// shift gives all files below dir the owners that the map says: what was done before kernels could map a mount, and what is
// left where they cannot. back takes it back. The ids of host and container do not overlap, so a file that was done, by another of its names or
// by a shift that was killed, is left as it is.
func shift(ctx context.Context, dir string, ids *idmap.Map, back bool) error {
	fd, err := openTree(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	s := &shifter{ctx: ctx, ids: ids, back: back}
	if err := s.directory(fd); err != nil {
		return fmt.Errorf("change the owners below %s: %w", dir, err)
	}
	return nil
}

// shifter is one shift.
type shifter struct {
	ctx  context.Context // of this call
	ids  *idmap.Map
	back bool
}

// directory changes the owner of an open directory after those of all that is in it.
func (s *shifter) directory(fd int) error {
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(again), ".")
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if err := s.entry(fd, name); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return s.owner(fd, "")
}

func (s *shifter) entry(dir int, name string) error {
	child, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return s.owner(dir, name)
	}
	if err != nil {
		return err
	}
	defer unix.Close(child)
	return s.directory(child)
}

// owner changes that of name in dir, or of dir itself. chown(2) takes away set-user-ID bits and file capabilities: they come back after it.
func (s *shifter) owner(dir int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	uid, gid := idmap.LookUp(s.ids.UIDs, st.Uid, s.back), idmap.LookUp(s.ids.GIDs, st.Gid, s.back)
	if uid == st.Uid && gid == st.Gid {
		return nil
	}
	var caps []byte
	path := fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
	if kind == unix.S_IFREG {
		caps = s.capabilities(path)
	}
	if err := unix.Fchownat(dir, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	if kind == unix.S_IFREG && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		if err := unix.Fchmodat(dir, name, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	if caps == nil {
		return nil
	}
	return unix.Lsetxattr(path, "security.capability", caps, 0)
}

// capabilities gives the file's, made good for another root: those of the host's say no root, others whose they are (capabilities(7),
// "File capability extended attribute versioning").
func (s *shifter) capabilities(path string) []byte {
	const v2, v3, revision = 0x02000000, 0x03000000, 0xff000000
	p := make([]byte, 64)
	n, err := unix.Lgetxattr(path, "security.capability", p)
	if err != nil || n < 20 {
		return nil
	}
	p = p[:n]
	magic := binary.LittleEndian.Uint32(p)
	switch {
	case !s.back && magic&revision == v2:
		binary.LittleEndian.PutUint32(p, magic&^revision|v3)
		return binary.LittleEndian.AppendUint32(p[:20], idmap.LookUp(s.ids.UIDs, 0, false))
	case s.back && magic&revision == v3 && n >= 24 && idmap.LookUp(s.ids.UIDs, binary.LittleEndian.Uint32(p[20:]), true) == 0:
		binary.LittleEndian.PutUint32(p, magic&^revision|v2)
		return p[:20]
	}
	return p
}

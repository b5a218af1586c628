package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"golang.org/x/sys/unix"
)

// copyTree copies the directory from into the directory to, which exists: files of all kinds, hard links among them, owners, modes,
// times and extended attributes. Links are copied, never followed.
func copyTree(ctx context.Context, from, to string) error {
	src, err := openTree(from)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := openTree(to)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	c := &copier{ctx: ctx, dst: dst, links: map[inode]string{}}
	if err := c.directory(src, dst, ""); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

type inode struct{ dev, ino uint64 }

// copier is one copyTree.
type copier struct {
	ctx   context.Context  // of this call
	dst   int              // the root of the copy
	links map[inode]string // where a file with several names was put first
}

func openTree(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	return fd, nil
}

// directory copies what is in src, whose path below the root is p.
func (c *copier) directory(src, dst int, p string) error {
	again, err := unix.Openat(src, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(again), p)
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(src, dst, name, path.Join(p, name)); err != nil {
			return fmt.Errorf("%q: %w", path.Join(p, name), err)
		}
	}
	return copyAttributes(src, dst)
}

func (c *copier) entry(src, dst int, name, p string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	key := inode{uint64(st.Dev), st.Ino}
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		if first, ok := c.links[key]; ok {
			return unix.Linkat(c.dst, first, dst, name, 0)
		}
		c.links[key] = p
	}
	switch kind {
	case unix.S_IFDIR:
		return c.subdirectory(src, dst, name, p)
	case unix.S_IFREG:
		return copyFile(src, dst, name, &st)
	case unix.S_IFLNK:
		return copyLink(src, dst, name, &st)
	}
	if err := unix.Mknodat(dst, name, kind|0o600, int(st.Rdev)); err != nil {
		return err
	}
	return copyAttributesAt(dst, name, &st)
}

func (c *copier) subdirectory(src, dst int, name, p string) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if err := unix.Mkdirat(dst, name, 0o700); err != nil {
		return err
	}
	from, err := unix.Openat(src, name, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := unix.Openat(dst, name, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return c.directory(from, to, p)
}

func copyFile(src, dst int, name string, st *unix.Stat_t) error {
	from, err := unix.Openat(src, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := unix.Openat(dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	if err := copyData(from, to, st.Size); err != nil {
		return err
	}
	return copyAttributes(from, to)
}

// copyData shares the blocks where the file system can (ioctl_ficlone(2)), else copies the data and leaves the holes.
func copyData(from, to int, size int64) error {
	if size == 0 || unix.IoctlFileClone(to, from) == nil {
		return nil
	}
	for at := int64(0); at < size; {
		start, err := unix.Seek(from, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole is left
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(from, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := copyRange(from, to, start, end); err != nil {
			return err
		}
		at = end
	}
	return unix.Ftruncate(to, size)
}

func copyRange(from, to int, at, end int64) error {
	r, w := at, at
	for w < end {
		n, err := unix.CopyFileRange(from, &r, to, &w, int(min(end-w, 1<<30)), 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // became shorter
		}
	}
	return nil
}

func copyLink(src, dst int, name string, st *unix.Stat_t) error {
	p := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(src, name, p)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(string(p[:n]), dst, name); err != nil {
		return err
	}
	return copyAttributesAt(dst, name, st)
}

// copyAttributes is for open files and directories.
func copyAttributes(src, dst int) error {
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return err
	}
	if err := unix.Fchown(dst, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(dst, st.Mode&0o7777); err != nil {
		return err
	}
	if err := layer.CopyXattrs(src, dst); err != nil {
		return err
	}
	// By its name in /proc, because utimensat(2) takes no bare descriptor in this form.
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", dst), []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// copyAttributesAt is for links, devices and pipes.
func copyAttributesAt(dst int, name string, st *unix.Stat_t) error {
	if err := unix.Fchownat(dst, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(dst, name, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(dst, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

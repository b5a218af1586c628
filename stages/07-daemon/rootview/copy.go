package rootview

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// CopyInto copies the content of a directory inside to an empty directory on the host: a new volume is filled with
// what the image has at its mount point. A path that is missing or no directory copies nothing.
func (r *Root) CopyInto(from, to string) error {
	src, err := r.Open(from, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	return copyDir(src, dst, ".")
}

// copyDir copies entries of src, which is dst's name; it descends by descriptors only.
func copyDir(src *os.File, dst *os.Root, name string) error {
	entries, err := src.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyEntry(src, e.Name(), dst, path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return copyMeta(src, dst, name)
}

func copyEntry(dir *os.File, base string, dst *os.Root, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(dir.Fd()), base, buf)
		if err != nil {
			return &os.PathError{Op: "readlink", Path: name, Err: err}
		}
		if err := dst.Symlink(string(buf[:n]), name); err != nil {
			return err
		}
		return dst.Lchown(name, int(st.Uid), int(st.Gid))
	case unix.S_IFDIR:
		if err := dst.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		sub, err := openBelow(dir, base, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer sub.Close()
		return copyDir(sub, dst, name)
	case unix.S_IFREG:
		f, err := openBelow(dir, base, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return copyFile(f, dst, name)
	}
	return nil // devices, sockets and pipes are not data
}

func openBelow(dir *os.File, base string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), base, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: base, Err: err}
	}
	return os.NewFile(uintptr(fd), base), nil
}

func copyFile(from *os.File, dst *os.Root, name string) error {
	to, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return copyMeta(from, dst, name)
}

func copyMeta(from *os.File, dst *os.Root, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	if err := dst.Chown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	info, err := from.Stat()
	if err != nil {
		return err
	}
	return errors.Join(dst.Chmod(name, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)),
		dst.Chtimes(name, info.ModTime(), info.ModTime()))
}

package rootview

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// parent opens the directory that holds a path; the path's last part is not followed.
func (r *Root) parent(name string) (dir *os.File, base string, err error) {
	clean := path.Join("/", name)
	if clean == "/" {
		dir, err = r.Open("/", unix.O_RDONLY|unix.O_DIRECTORY)
		return dir, ".", err
	}
	dir, err = r.Open(path.Dir(clean), unix.O_RDONLY|unix.O_DIRECTORY)
	return dir, path.Base(clean), err
}

// Stat describes a path as docker cp wants it: a symbolic link itself, with its target.
func (r *Root) Stat(name string) (container.PathStat, error) {
	dir, base, err := r.parent(name)
	if err != nil {
		return container.PathStat{}, err
	}
	defer dir.Close()
	h, err := header(dir, base, path.Base(path.Join("/", name)))
	if err != nil {
		return container.PathStat{}, err
	}
	info := h.FileInfo()
	return container.PathStat{Name: path.Base(path.Join("/", name)), Size: h.Size, Mode: info.Mode(), Mtime: h.ModTime, LinkTarget: h.Linkname}, nil
}

// WriteTar archives a path; its entries are named after the path's last part, or "." where that is what was asked for.
func (r *Root) WriteTar(w io.Writer, name string) error {
	dir, base, err := r.parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	as := path.Base(path.Join("/", name))
	if strings.HasSuffix(name, "/.") || as == "/" {
		as = "."
	}
	t := tar.NewWriter(w)
	return errors.Join(addTree(t, dir, base, as), t.Close())
}

// header is the tar header of dir/base, called name.
func header(dir *os.File, base, name string) (*tar.Header, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	h := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFLNK:
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(dir.Fd()), base, buf)
		if err != nil {
			return nil, &os.PathError{Op: "readlink", Path: name, Err: err}
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(buf[:n])
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil, nil // a socket has no place in an archive
	}
	return h, nil
}

func addTree(t *tar.Writer, dir *os.File, base, name string) error {
	h, err := header(dir, base, name)
	if err != nil || h == nil {
		return err
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := openBelow(dir, base, unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		defer f.Close()
		// The file may grow or shrink while we read: the header's size is what is promised.
		n, err := io.Copy(t, io.LimitReader(f, h.Size))
		if err == nil && n < h.Size {
			_, err = io.CopyN(t, zeros{}, h.Size-n)
		}
		return err
	case tar.TypeDir:
		sub, err := openBelow(dir, base, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer sub.Close()
		entries, err := sub.ReadDir(-1)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := addTree(t, sub, e.Name(), name+"/"+e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// ExtractOptions are those of PUT archive.
type ExtractOptions struct {
	KeepOwners  bool // the archive's users and groups; root's otherwise
	NoOverwrite bool // a directory does not replace a file, nor a file a directory
}

// Extract unpacks an archive below a directory. Every parent is resolved by the kernel inside the root, so neither
// "../" nor a link in the container, put there in any moment, leads out of it.
func (r *Root) Extract(into string, archive io.Reader, o ExtractOptions) error {
	check, err := r.Open(into, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	_ = check.Close()
	t := tar.NewReader(archive)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if err := r.extractOne(into, h, t, o); err != nil {
			return fmt.Errorf("extract %s: %w", h.Name, err)
		}
	}
}

func (r *Root) extractOne(into string, h *tar.Header, content io.Reader, o ExtractOptions) error {
	name := path.Join(into, path.Join("/", h.Name))
	if path.Join("/", h.Name) == "/" {
		return nil // the directory itself is there, and keeps its own attributes
	}
	dir, base, err := r.parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := r.make(dir, base, h, content, o); err != nil {
		return err
	}
	uid, gid := 0, 0
	if o.KeepOwners {
		uid, gid = h.Uid, h.Gid
	}
	fd := int(dir.Fd())
	if err := unix.Fchownat(fd, base, uid, gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return os.NewSyscallError("chown", err)
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := unix.Fchmodat(fd, base, uint32(h.Mode)&0o7777, 0); err != nil {
		return os.NewSyscallError("chmod", err)
	}
	at := unix.NsecToTimespec(h.ModTime.UnixNano())
	return os.NewSyscallError("utimensat", unix.UtimesNanoAt(fd, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
}

// make creates the entry in place of what is there.
func (r *Root) make(dir *os.File, base string, h *tar.Header, content io.Reader, o ExtractOptions) error {
	fd := int(dir.Fd())
	var st unix.Stat_t
	err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	exists := err == nil
	isDir := exists && st.Mode&unix.S_IFMT == unix.S_IFDIR
	wantDir := h.Typeflag == tar.TypeDir
	switch {
	case isDir && wantDir:
		return nil
	case exists && o.NoOverwrite && isDir != wantDir:
		return fmt.Errorf("cannot overwrite a %s with a %s: %w", kindOf(isDir), kindOf(wantDir), unix.EEXIST)
	case isDir:
		if err := unix.Unlinkat(fd, base, unix.AT_REMOVEDIR); err != nil {
			return os.NewSyscallError("rmdir", err)
		}
	case exists:
		if err := unix.Unlinkat(fd, base, 0); err != nil {
			return os.NewSyscallError("unlink", err)
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.NewSyscallError("mkdir", unix.Mkdirat(fd, base, 0o700))
	case tar.TypeSymlink:
		return os.NewSyscallError("symlink", unix.Symlinkat(h.Linkname, fd, base))
	case tar.TypeFifo:
		return os.NewSyscallError("mkfifo", unix.Mknodat(fd, base, unix.S_IFIFO|0o600, 0))
	case tar.TypeReg:
		return writeNew(dir, base, content)
	}
	return fmt.Errorf("entries of type %q are not unpacked", h.Typeflag)
}

func kindOf(dir bool) string {
	if dir {
		return "directory"
	}
	return "file"
}

func writeNew(dir *os.File, base string, content io.Reader) error {
	fd, err := unix.Openat(int(dir.Fd()), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

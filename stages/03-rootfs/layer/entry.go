package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// make makes the entry base in the directory fd; p is its whole path.
func (a *applier) make(h *tar.Header, fd int, p, base string, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return a.directory(h, fd, p, base)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return a.file(h, fd, base, body)
	case tar.TypeLink:
		return a.hardLink(h, fd, base)
	case tar.TypeSymlink:
		err := replacing(fd, base, func() error { return unix.Symlinkat(h.Linkname, fd, base) })
		if err != nil {
			return err
		}
		return setAttributesAt(fd, base, h)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return a.node(h, fd, base)
	}
	return fmt.Errorf("type %q: %w", h.Typeflag, ErrEntry)
}

// replacing runs create; when something of that name is in the way it is removed first.
func replacing(fd int, base string, create func() error) error {
	err := create()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := removeAll(fd, base); err != nil {
		return err
	}
	return create()
}

func (a *applier) directory(h *tar.Header, fd int, p, base string) error {
	err := unix.Mkdirat(fd, base, 0o700)
	hidden := false
	if errors.Is(err, unix.EEXIST) {
		hidden, err = a.makeRoom(fd, base)
	}
	if err != nil {
		return err
	}
	dir, err := openDir(fd, base)
	if err != nil {
		return err
	}
	a.walker.add(base, dir) // its files come next
	if hidden {
		if err := setOpaque(dir); err != nil {
			return err
		}
	}
	a.times = append(a.times, dirTime{p, h.ModTime})
	return setAttributes(dir, h)
}

// makeRoom makes a directory where something is. A directory stays as it is. A whiteout tells that the layer
// below is hidden, which the new directory must go on telling.
func (a *applier) makeRoom(fd int, base string) (hidden bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return false, nil
	}
	if err := unix.Unlinkat(fd, base, 0); err != nil {
		return false, err
	}
	return a.options.Whiteouts == Overlay && isWhiteout(&st), unix.Mkdirat(fd, base, 0o700)
}

func (a *applier) file(h *tar.Header, fd int, base string, body io.Reader) error {
	file := -1
	err := replacing(fd, base, func() (err error) {
		file, err = unix.Openat(fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(file)
	if err := a.fill(file, h, body); err != nil {
		return err
	}
	// Attributes come after the data: writing clears set-user-ID bits and file capabilities.
	if err := setAttributes(file, h); err != nil {
		return err
	}
	return setTime(fd, base, accessTime(h), h.ModTime)
}

func (a *applier) fill(file int, h *tar.Header, body io.Reader) error {
	sparse := isSparse(h)
	for left := h.Size; left > 0; {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		p := a.buffer[:min(left, int64(len(a.buffer)))]
		if _, err := io.ReadFull(body, p); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		left -= int64(len(p))
		if sparse && allZero(p) {
			if _, err := unix.Seek(file, int64(len(p)), unix.SEEK_CUR); err != nil {
				return err
			}
			continue
		}
		if err := writeFull(file, p); err != nil {
			return err
		}
	}
	if sparse {
		return unix.Ftruncate(file, h.Size) // a hole at the end
	}
	return nil
}

func writeFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// isSparse tells whether the archive says that the file has holes (GNU tar manual, "Sparse Formats").
func isSparse(h *tar.Header) bool {
	_, old := h.PAXRecords["GNU.sparse.map"]
	_, major := h.PAXRecords["GNU.sparse.major"]
	return h.Typeflag == tar.TypeGNUSparse || old || major
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// hardLink links to a file that the layer (or, in a plain directory, one below it) has made. The directory of the target is resolved
// inside the root and its last part is not followed, so the link can be to nothing outside (CVE-2014-9356, CVE-2026-17106).
func (a *applier) hardLink(h *tar.Header, fd int, base string) error {
	target, err := cleanName(h.Linkname)
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", shown(h.Linkname), err)
	}
	if target == "" {
		return fmt.Errorf("hard link to the root: %w", ErrEntry)
	}
	dir, name := splitPath(target)
	from := a.walker.root()
	if dir != "" {
		from, err = unix.Openat2(a.walker.root(), dir, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != nil {
			return fmt.Errorf("hard link to %s: %w", shown(h.Linkname), err)
		}
		defer unix.Close(from)
	}
	if sameFile(from, name, fd, base) {
		return nil // linked to itself: removing it first would lose it
	}
	if err := replacing(fd, base, func() error { return unix.Linkat(from, name, fd, base, 0) }); err != nil {
		return fmt.Errorf("hard link to %s: %w", shown(h.Linkname), err)
	}
	return nil
}

func sameFile(fd1 int, name1 string, fd2 int, name2 string) bool {
	var a, b unix.Stat_t
	return unix.Fstatat(fd2, name2, &b, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstatat(fd1, name1, &a, unix.AT_SYMLINK_NOFOLLOW) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// node makes a device or a named pipe. In a user namespace nobody makes devices: a container there gets those of the host by bind mounts,
// and the image's are left out, as rootless engines do.
func (a *applier) node(h *tar.Header, fd int, base string) error {
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	device := 0
	if h.Typeflag != tar.TypeFifo {
		device = int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)))
	}
	err := replacing(fd, base, func() error { return unix.Mknodat(fd, base, kind|0o600, device) })
	if errors.Is(err, unix.EPERM) && kind != unix.S_IFIFO && InUserNamespace() {
		return nil
	}
	if err != nil {
		return err
	}
	return setAttributesAt(fd, base, h)
}

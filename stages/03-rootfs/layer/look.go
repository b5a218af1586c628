package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// look is all that a layer says of a file but its content.
type look struct {
	name     string
	st       unix.Stat_t
	link     string            // of a symbolic link
	xattrs   map[string]string // those that belong into a layer
	opaque   bool              // overlayfs: hides what is below
	redirect bool              // overlayfs: shows another directory of below
}

func (l look) kind() uint32 { return l.st.Mode & unix.S_IFMT }

// lookAt follows no link.
func lookAt(dir int, name string) (look, error) {
	l := look{name: name}
	if err := unix.Fstatat(dir, name, &l.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return l, err
	}
	if l.kind() == unix.S_IFLNK {
		p := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(dir, name, p)
		if err != nil {
			return l, err
		}
		l.link = string(p[:n])
	}
	return l, l.readXattrs(fmt.Sprintf("/proc/self/fd/%d/%s", dir, name))
}

func (l *look) readXattrs(file string) error {
	n, err := unix.Llistxattr(file, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	p := make([]byte, n+256)
	if n, err = unix.Llistxattr(file, p); err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	value := make([]byte, 64<<10)
	for raw := range bytes.SplitSeq(p[:n], []byte{0}) {
		name := string(raw)
		if name == "" {
			continue
		}
		n, err := unix.Lgetxattr(file, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
		l.note(name, string(value[:n]))
	}
	return nil
}

// note keeps an attribute that belongs into a layer. SELinux labels are this machine's, and overlayfs's own say how it stores things.
func (l *look) note(name, value string) {
	switch {
	case name == xattrOpaque || name == xattrUserOpaque:
		l.opaque = value == "y"
	case name == "trusted.overlay.redirect" || name == "trusted.overlay.metacopy" || name == "user.overlay.redirect" || name == "user.overlay.metacopy":
		l.redirect = true
	case strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."):
	case name == "security.capability", strings.HasPrefix(name, "user."), strings.HasPrefix(name, "trusted."):
		if l.xattrs == nil {
			l.xattrs = map[string]string{}
		}
		l.xattrs[name] = value
	}
}

// equal compares all that is written into a layer, but not the content.
func (l look) equal(o look) bool {
	a, b := &l.st, &o.st
	same := a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid && a.Rdev == b.Rdev && l.link == o.link && maps.Equal(l.xattrs, o.xattrs)
	if l.kind() == unix.S_IFREG {
		same = same && a.Size == b.Size
	}
	return same && a.Mtim == b.Mtim
}

func (l look) header(p string) *tar.Header {
	h := &tar.Header{
		Name: p, Mode: int64(l.st.Mode & 0o7777), Uid: int(l.st.Uid), Gid: int(l.st.Gid), Linkname: l.link,
		ModTime: time.Unix(l.st.Mtim.Unix()), Format: tar.FormatPAX,
	}
	switch l.kind() {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, l.st.Size
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if l.kind() == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(uint64(l.st.Rdev))), int64(unix.Minor(uint64(l.st.Rdev)))
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	}
	for name, value := range l.xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[paxXattr+name] = value
	}
	return h
}

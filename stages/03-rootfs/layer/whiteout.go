package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	xattrOpaque     = "trusted.overlay.opaque"
	xattrUserOpaque = "user.overlay.opaque" // what overlayfs reads instead in a user namespace (option userxattr)
)

// whiteout carries out the entry base, which begins with ".wh.", in the directory fd, whose path is dir.
func (a *applier) whiteout(fd int, dir, base string) error {
	if base == whiteoutOpaque {
		return a.opaque(fd, dir)
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil // aufs's own notes
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("whiteout of %q: %w", name, ErrEntry)
	}
	if a.options.Whiteouts == Overlay {
		return hide(fd, name)
	}
	return a.removeBelow(fd, path.Join(dir, name), name)
}

// hide makes what overlayfs reads as "not here": a character device with number 0:0. When the layer has brought
// something of that name itself, the order in the tar must not matter: a file hides the one below anyway, and
// a directory is told not to be merged with it.
func hide(fd int, name string) error {
	//ex:begin rootfs.whiteouts
	err := unix.Mknodat(fd, name, unix.S_IFCHR, int(unix.Mkdev(0, 0)))
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	dir, err := openDir(fd, name)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return setOpaque(dir)
	//ex:stub
	// return todo.Exercise("rootfs.whiteouts")
	//ex:end rootfs.whiteouts
}

// opaque hides all that is below the directory fd.
func (a *applier) opaque(fd int, dir string) error {
	if a.options.Whiteouts == Remove {
		return a.removeChildren(fd, dir)
	}
	if dir == "" {
		// overlayfs does not look at the root's attribute; the names below are hidden one by one when they are known.
		a.result.OpaqueRoot = true
		return hideNames(fd, a.options.Lowers)
	}
	return setOpaque(fd)
}

func setOpaque(fd int) error {
	err := unix.Fsetxattr(fd, xattrOpaque, []byte("y"), 0)
	if errors.Is(err, unix.EPERM) && InUserNamespace() {
		err = unix.Fsetxattr(fd, xattrUserOpaque, []byte("y"), 0)
	}
	if err != nil {
		return fmt.Errorf("attribute %s: %w", xattrOpaque, err)
	}
	return nil
}

func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// removeBelow removes name, but not what this layer made.
func (a *applier) removeBelow(fd int, p, name string) error {
	if _, ours := a.seen[p]; !ours {
		if a.seen == nil {
			return nil // the directory was empty: nothing is below
		}
		return removeAll(fd, name)
	}
	dir, err := openDir(fd, name)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return a.removeChildren(dir, p)
}

func (a *applier) removeChildren(fd int, p string) error {
	if a.seen == nil {
		return nil
	}
	names, err := readNames(fd)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := a.removeBelow(fd, path.Join(p, n), n); err != nil {
			return err
		}
	}
	return nil
}

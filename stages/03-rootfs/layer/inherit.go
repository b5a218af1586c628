package layer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Inherit completes a layer that was applied before the directories below it were known: lowers, nearest first.
func Inherit(dir string, lowers []string, r Result) error {
	if len(r.Implicit) == 0 && !r.OpaqueRoot {
		return nil
	}
	root, err := openTree(dir)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if r.OpaqueRoot {
		if err := hideNames(root, lowers); err != nil {
			return err
		}
	}
	for _, p := range r.Implicit {
		fd, err := openBelow(root, p)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // a later entry put something else in its place
		}
		if err != nil {
			return fmt.Errorf("inherit attributes of %s: %w", shown(p), err)
		}
		err = inherit(p, fd, lowers)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

// inherit gives the directory fd, whose path is p, the attributes of the one that it hides in the nearest of the lowers that has it.
func inherit(p string, fd int, lowers []string) error {
	for _, lower := range lowers {
		done, err := inheritFrom(p, fd, lower)
		if err != nil {
			return fmt.Errorf("inherit attributes of %s: %w", shown(p), err)
		}
		if done {
			return nil
		}
	}
	return nil
}

func inheritFrom(p string, fd int, lower string) (done bool, err error) {
	root, err := openTree(lower)
	if err != nil {
		return false, err
	}
	defer unix.Close(root)
	from, err := openBelow(root, p)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return true, nil // hidden by a file, a link or a whiteout: nothing to inherit, here or further down
	}
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(from)
	return true, copyDirAttributes(from, fd)
}

func copyDirAttributes(from, to int) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	if err := unix.Fchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	if err := CopyXattrs(from, to); err != nil {
		return err
	}
	return unix.UtimesNanoAt(to, ".", []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// CopyXattrs copies the extended attributes from one open file to another, but not those that overlayfs reads.
func CopyXattrs(from, to int) error {
	names, err := listXattrs(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		value, err := getXattr(from, name)
		if err != nil {
			return err
		}
		if err := unix.Fsetxattr(to, name, value, 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}

func listXattrs(fd int) ([]string, error) {
	n, err := unix.Flistxattr(fd, nil)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := make([]byte, n+256) // room for one that came since
	if n, err = unix.Flistxattr(fd, p); err != nil {
		return nil, err
	}
	var names []string
	for name := range bytes.SplitSeq(p[:n], []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

func getXattr(fd int, name string) ([]byte, error) {
	p := make([]byte, 64<<10) // XATTR_SIZE_MAX
	n, err := unix.Fgetxattr(fd, name, p)
	if err != nil {
		return nil, fmt.Errorf("attribute %s: %w", name, err)
	}
	return p[:n], nil
}

// hideNames makes a whiteout in root for each name that one of the lowers has and root has not.
func hideNames(root int, lowers []string) error {
	for _, lower := range lowers {
		fd, err := openTree(lower)
		if err != nil {
			return err
		}
		names, err := readNames(fd)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("list %s: %w", lower, err)
		}
		for _, n := range names {
			if err := hide(root, n); err != nil {
				return fmt.Errorf("hide %s: %w", shown(n), err)
			}
		}
	}
	return nil
}

func openTree(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	return fd, nil
}

// openBelow opens a directory below root and follows no link at all.
func openBelow(root int, p string) (int, error) {
	return unix.Openat2(root, p, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

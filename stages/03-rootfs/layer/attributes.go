package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// paxXattr begins the name of an extended attribute in a PAX header (image-spec, layer.md#pax-headers).
const paxXattr = "SCHILY.xattr."

// setAttributes sets owner, mode and extended attributes of an open file or directory, in the order in which one does not
// undo the other: chown(2) clears set-user-ID bits and file capabilities.
func setAttributes(fd int, h *tar.Header) error {
	if err := checkOwner(h); err != nil {
		return err
	}
	if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
		return fmt.Errorf("owner %d:%d: %w", h.Uid, h.Gid, err)
	}
	if err := unix.Fchmod(fd, uint32(h.Mode&0o7777)); err != nil {
		return fmt.Errorf("mode %04o: %w", h.Mode&0o7777, err)
	}
	for _, x := range xattrs(h) {
		if err := tolerate(h, x, unix.Fsetxattr(fd, x, []byte(h.PAXRecords[paxXattr+x]), 0)); err != nil {
			return err
		}
	}
	return nil
}

// setAttributesAt does the same for what cannot be opened without effect: links, devices and pipes.
func setAttributesAt(dir int, base string, h *tar.Header) error {
	if err := checkOwner(h); err != nil {
		return err
	}
	if err := unix.Fchownat(dir, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("owner %d:%d: %w", h.Uid, h.Gid, err)
	}
	fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if h.Typeflag != tar.TypeSymlink { // a link has no mode
		// fchmod(2) refuses O_PATH and fchmodat2(2) is from Linux 6.6; the name in /proc leads to this very file.
		if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), uint32(h.Mode&0o7777)); err != nil {
			return fmt.Errorf("mode %04o: %w", h.Mode&0o7777, err)
		}
	}
	for _, x := range xattrs(h) {
		name := fmt.Sprintf("/proc/self/fd/%d/%s", dir, base)
		if err := tolerate(h, x, unix.Lsetxattr(name, x, []byte(h.PAXRecords[paxXattr+x]), 0)); err != nil {
			return err
		}
	}
	return setTime(dir, base, accessTime(h), h.ModTime)
}

// checkOwner refuses what chown(2) would read as something else: -1 means "leave it", and 2³² wraps to root.
func checkOwner(h *tar.Header) error {
	for _, id := range []int{h.Uid, h.Gid} {
		if id < 0 || id >= math.MaxUint32 {
			return fmt.Errorf("owner %d:%d: %w", h.Uid, h.Gid, ErrEntry)
		}
	}
	return nil
}

// xattrs lists the extended attributes of an entry. Those that overlayfs itself reads are left out: with
// trusted.overlay.redirect a layer could show a directory of the layers below under another name.
func xattrs(h *tar.Header) []string {
	var names []string
	for k := range h.PAXRecords {
		name, ok := strings.CutPrefix(k, paxXattr)
		if ok && !strings.HasPrefix(name, "trusted.overlay.") && !strings.HasPrefix(name, "user.overlay.") {
			names = append(names, name)
		}
	}
	return names
}

// tolerate passes over attributes that this file system cannot keep, as all engines do, and user attributes of links and devices,
// which no file system keeps (xattr(7)).
func tolerate(h *tar.Header, name string, err error) error {
	switch {
	case err == nil, errors.Is(err, unix.ENOTSUP):
		return nil
	case errors.Is(err, unix.EPERM) && strings.HasPrefix(name, "user.") && h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return nil
	case errors.Is(err, unix.EPERM) && strings.HasPrefix(name, "trusted.") && InUserNamespace():
		return nil
	}
	return fmt.Errorf("attribute %s: %w", shown(name), err)
}

func accessTime(h *tar.Header) time.Time {
	if h.AccessTime.After(h.ModTime) {
		return h.AccessTime
	}
	return h.ModTime
}

func setTime(dir int, name string, access, modified time.Time) error {
	times := []unix.Timespec{timespec(access), timespec(modified)}
	return unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW)
}

func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

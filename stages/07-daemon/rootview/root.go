// Package rootview looks into a container's root file system from outside, whether it runs or not.
//
// Everything inside is hostile: paths are resolved by the kernel below the root (openat2(2), RESOLVE_IN_ROOT), and
// the root is a descriptor, never a path on the host. A stopped container's snapshot is mounted in a mount
// namespace that dies at once; what stays is a detached copy of the mount, which vanishes with its descriptor.
package rootview

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/containerd/containerd/api/types"
	"golang.org/x/sys/unix"
)

// Root is a directory tree that is treated as "/".
type Root struct{ dir *os.File }

// OfProcess is the root of a running process.
func OfProcess(pid int) (*Root, error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Root{f}, nil
}

// OfMounts is what the mounts of a snapshot would show. at is any empty directory; nothing stays mounted on it.
func OfMounts(mounts []*types.Mount, at string) (*Root, error) {
	if len(mounts) != 1 {
		return nil, fmt.Errorf("%d mounts make a root file system, want 1", len(mounts))
	}
	if m := mounts[0]; m.GetType() == "bind" { // a plain directory needs no mounting to be looked into
		f, err := os.OpenFile(m.GetSource(), unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, err
		}
		return &Root{f}, nil
	}
	type result struct {
		root *Root
		err  error
	}
	done := make(chan result)
	go onDoomedThread(func() {
		root, err := mountDetached(mounts[0], at)
		done <- result{root, err}
	})
	r := <-done
	return r.root, r.err
}

// onDoomedThread runs f on a thread that ends with it, and with the thread its mount namespace. The first thread
// of a process cannot end (Go parks it for ever), so it must not be the one: while it is held, the next goroutine
// gets another.
func onDoomedThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // still locked: Go ends the thread
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		f()
	}()
	<-done
	runtime.UnlockOSThread()
}

func mountDetached(m *types.Mount, at string) (*Root, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, os.NewSyscallError("unshare mnt", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make / private: %w", err)
	}
	flags, data := options(m.GetOptions())
	if err := unix.Mount(m.GetSource(), at, m.GetType(), flags, data); err != nil {
		return nil, fmt.Errorf("mount %s (%s) on %s: %w", m.GetType(), m.GetSource(), at, err)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("open_tree %s: %w", at, err)
	}
	return &Root{os.NewFile(uintptr(fd), "snapshot")}, nil
}

// options separates flags from the file system's own words.
func options(list []string) (flags uintptr, data string) {
	var rest []string
	for _, o := range list {
		switch o {
		case "bind":
			flags |= unix.MS_BIND
		case "rbind":
			flags |= unix.MS_BIND | unix.MS_REC
		case "ro":
			flags |= unix.MS_RDONLY
		case "rw":
		default:
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

// Close lets the tree go.
func (r *Root) Close() error { return r.dir.Close() }

// Open opens a path inside. Symbolic links are followed inside the root only.
func (r *Root) Open(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(r.dir.Fd()), path.Join("/", name), &how)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

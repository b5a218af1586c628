package snapshot

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Apart runs f in a thread with a mount namespace of its own: what f mounts is seen by nobody else, and gone when the thread is, even
// after kill -9. Goroutines that f starts are not in it.
func Apart(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends, and /proc/self is about it: while it is kept here, another one takes the work.
			defer runtime.UnlockOSThread()
			done <- Apart(f)
			return
		}
		done <- func() error { // never unlocked: the thread ends with the goroutine
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("new mount namespace: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("keep mounts to ourselves: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// Detached makes a mount that is attached nowhere, for whoever gets the file to move_mount(2) it where he wants: a container in mount and user
// namespaces of its own could not make it, and on the host nobody sees it. It is gone when the file is closed.
func Detached(m Mount) (*os.File, error) {
	if m.Target != "" {
		return nil, fmt.Errorf("mount on %q of the root: %w", m.Target, ErrInvalid)
	}
	dir, err := os.MkdirTemp("", "slipway-mount-")
	if err != nil {
		return nil, err
	}
	tree := -1
	err = Apart(func() (err error) {
		if err := MountAll([]Mount{m}, dir); err != nil {
			return err
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		return err
	})
	if err = errors.Join(err, os.Remove(dir)); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(tree), "snapshot"), nil
}

// Package apart runs a function where its mounts are nobody else's.
package apart

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f in a thread with a mount namespace and a working directory of its own: what f mounts is seen by nobody else, and gone when the
// thread is, even after kill -9. Goroutines that f starts are not in it.
func Do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends, and /proc/self is about it: while it is kept here, another one takes the work.
			defer runtime.UnlockOSThread()
			done <- Do(f)
			return
		}
		done <- func() error { // never unlocked: the thread ends with the goroutine
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil { // and CLONE_FS with it (unshare(2))
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

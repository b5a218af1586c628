package snapshot

import (
	"fmt"
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

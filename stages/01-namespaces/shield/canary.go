package shield

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// release is the signal that ends the canary. The kernel delivers lower numbers first, so one that somebody else has sent before
// is what it dies of.
const release = syscall.Signal(64)

// sing is the life of the canary: a process that nobody has a reason to signal. When it dies of a signal, somebody has
// signalled everybody: kill(-1, …), which on a real host ends the session of the person in front of it.
func sing() int {
	done := make(chan os.Signal, 1)
	signal.Notify(done, release)
	<-done
	return 0
}

// releaseCanary ends it and tells what it died of, if it was not that.
func releaseCanary(bird int) (killed []string) {
	var ws syscall.WaitStatus
	for range 5000 {
		_ = syscall.Kill(bird, release) // again and again: at first it has no ear for it, or the default action
		if pid, err := syscall.Wait4(bird, &ws, syscall.WNOHANG, nil); pid == bird || err == syscall.ECHILD {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if ws.Signaled() && ws.Signal() != release {
		killed = append(killed, signalled(ws, "a process that nobody had a reason to signal"))
	}
	return killed
}

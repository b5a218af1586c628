package launch

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnOwnThread runs f on a thread that no other goroutine uses meanwhile, and
// that is not the thread-group leader: /proc/self/ns shows the leader's
// namespaces, and Go can park the leader but never end it. It has the timer
// slack of the caller's thread, as if the caller had called f.
// When f says that the thread is spoilt (it has joined a namespace, say), it
// ends with f.
func OnOwnThread(f func() (keep bool)) {
	slack, done := ownSlack(), make(chan struct{})
	go onOwnThread(slack, func() bool { defer close(done); return f() })
	<-done
}

func onOwnThread(slack int, f func() (keep bool)) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		other := make(chan struct{})
		go func() { defer close(other); onOwnThread(slack, f) }()
		<-other
		runtime.UnlockOSThread()
		return
	}
	own := ownSlack()
	setSlack(slack)
	if f() {
		setSlack(own)
		runtime.UnlockOSThread()
	}
}

// ownSlack is the calling thread's timer slack in ns, which its children get
// (prctl(2), PR_GET_TIMERSLACK). It and setSlack cannot fail.
func ownSlack() int {
	ns, _ := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return ns
}

func setSlack(ns int) { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(ns), 0, 0, 0) }

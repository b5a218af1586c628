package launch

// OnOwnThread runs f on a thread that no other goroutine uses meanwhile, and
// that is not the thread-group leader, whose namespaces /proc/self/ns shows.
// When f says that the thread is spoilt (it has joined a namespace, say), it
// ends with f.
func OnOwnThread(f func() (keep bool)) {
	done := make(chan struct{})
	go onOwnThread(func() bool { defer close(done); return f() })
	<-done
}

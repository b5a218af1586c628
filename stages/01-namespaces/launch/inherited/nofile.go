// Package inherited remembers what this process was given before the Go runtime
// changed it.
package inherited

import "syscall"

// Nofile is RLIMIT_NOFILE as it was before package os raised the soft limit to
// the hard one (os/rlimit.go). Packages initialise in the order of their import
// paths once their imports are ready, and this one needs syscall alone, so it
// reads the limit before os does (Go specification, "Package initialization").
var Nofile = nofile()

func nofile() (l syscall.Rlimit) {
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) // cannot fail for one's own process
	return l
}

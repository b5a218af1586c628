// Package namespace names the eight kinds of namespace and finds the ones that
// exist (namespaces(7)).
package namespace

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Kind is one kind of namespace.
type Kind struct {
	Name string  // as in runtime-spec's linux.namespaces and in unshare(1): "mount"
	File string  // in /proc/PID/ns: "mnt"
	Flag uintptr // CLONE_NEW*
}

// Kinds are all eight, in the order in which a process joins them: user first,
// because it gives the capabilities to join the rest, mount last but for
// cgroup and time, because after it /proc is another's.
func Kinds() []Kind {
	return []Kind{
		{"user", "user", unix.CLONE_NEWUSER},
		{"pid", "pid", unix.CLONE_NEWPID},
		{"ipc", "ipc", unix.CLONE_NEWIPC},
		{"uts", "uts", unix.CLONE_NEWUTS},
		{"network", "net", unix.CLONE_NEWNET},
		{"cgroup", "cgroup", unix.CLONE_NEWCGROUP},
		{"time", "time", unix.CLONE_NEWTIME},
		{"mount", "mnt", unix.CLONE_NEWNS},
	}
}

// Named finds a kind by its name or by its file in /proc/PID/ns.
func Named(name string) (Kind, error) {
	var known []string
	for _, k := range Kinds() {
		if name == k.Name || name == k.File {
			return k, nil
		}
		known = append(known, k.Name)
	}
	return Kind{}, fmt.Errorf("unknown namespace %q: the kernel has %s", name, strings.Join(known, ", "))
}

// ID is the inode number that identifies a namespace while it lives.
type ID uint64

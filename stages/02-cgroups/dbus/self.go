package dbus

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// Self is the user that a bus takes the caller for. A bus lives outside: the root of a user namespace is to it the
// ordinary user that the namespace maps to root (user_namespaces(7)).
func Self() int {
	uid := os.Geteuid()
	f, err := os.Open("/proc/self/uid_map")
	if err != nil {
		return uid
	}
	defer f.Close()
	return outside(f, uid)
}

// outside translates an id by a uid_map: lines of first id inside, first id outside, how many.
func outside(uidMap io.Reader, uid int) int {
	for lines := bufio.NewScanner(uidMap); lines.Scan(); {
		var inside, out, count int
		if _, err := fmt.Sscan(lines.Text(), &inside, &out, &count); err != nil {
			continue
		}
		if uid >= inside && uid-inside < count {
			return out + uid - inside
		}
	}
	return uid
}

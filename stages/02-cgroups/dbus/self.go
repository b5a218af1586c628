package dbus

import (
	"os"
	"strconv"
	"strings"
)

// Self is the user that a bus takes the caller for. A bus lives outside: the root of a user namespace is to it the
// ordinary user that the namespace maps to root (user_namespaces(7)).
func Self() int {
	uid := os.Geteuid()
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return uid
	}
	return outside(string(text), uid)
}

// outside translates an id by a uid_map: lines of first id inside, first id outside, how many.
func outside(uidMap string, uid int) int {
	for line := range strings.Lines(uidMap) {
		var n [3]int
		for i, field := range strings.Fields(line) {
			n[min(i, 2)], _ = strconv.Atoi(field) // the kernel writes nothing but numbers
		}
		if inside, out, count := n[0], n[1], n[2]; uid >= inside && uid-inside < count {
			return out + uid - inside
		}
	}
	return uid
}

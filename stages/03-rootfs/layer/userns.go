package layer

import (
	"os"
	"strings"
)

// InUserNamespace tells whether this process is root only of what is its own: no devices, no trusted attributes
// (user_namespaces(7): the initial namespace maps all ids to themselves).
func InUserNamespace() bool {
	p, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(p)), " ") != "0 0 4294967295"
}

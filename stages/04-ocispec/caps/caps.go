// Package caps turns the capability names of config.json into the bits that the kernel wants (capabilities(7)).
package caps

import (
	"math/bits"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Mask is a set of capabilities: bit n is capability number n of linux/capability.h.
type Mask uint64

// Sets are the five sets of a thread.
type Sets struct {
	Bounding, Effective, Permitted, Inheritable, Ambient Mask
}

// names lists the capabilities in the order of their numbers.
func names() []string {
	return []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
		"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
		"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
		"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
		"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
	}
}

// Names lists all capabilities as config.json spells them.
func Names() []string {
	list := names()
	for i := range list {
		list[i] = "CAP_" + list[i]
	}
	return list
}

// Parse returns the set of the names, and the names that it does not know: those are left out with a warning, because a
// config.json may be written for a newer kernel.
func Parse(list []string) (m Mask, unknown []string) {
	all := names()
	for _, name := range list {
		i := slices.Index(all, strings.TrimPrefix(name, "CAP_"))
		if i < 0 || !strings.HasPrefix(name, "CAP_") {
			unknown = append(unknown, name)
			continue
		}
		m |= 1 << i
	}
	return m, unknown
}

// Names lists the names of those in the set.
func (m Mask) Names() []string {
	var list []string
	for i, name := range names() {
		if m&(1<<i) != 0 {
			list = append(list, "CAP_"+name)
		}
	}
	return list
}

// String lists the names.
func (m Mask) String() string { return strings.Join(m.Names(), " ") }

// Count is the number of capabilities in the set.
func (m Mask) Count() int { return bits.OnesCount64(uint64(m)) }

// FromSpec translates config.json's process.capabilities. Without them a process gets none at all.
func FromSpec(c *specs.LinuxCapabilities) (s Sets, unknown []string) {
	if c == nil {
		return Sets{}, nil
	}
	for _, set := range []struct {
		to   *Mask
		list []string
	}{{&s.Bounding, c.Bounding}, {&s.Effective, c.Effective}, {&s.Permitted, c.Permitted}, {&s.Inheritable, c.Inheritable}, {&s.Ambient, c.Ambient}} {
		var more []string
		*set.to, more = Parse(set.list)
		for _, name := range more {
			if !slices.Contains(unknown, name) {
				unknown = append(unknown, name)
			}
		}
	}
	return s, unknown
}

// Limit keeps of the wanted sets what this process could give, own being its bounding set, and returns what it could not. The
// kernel never lets a capability return that left the bounding set, and it refuses sets that contradict each other: the
// result is one that capset(2) takes.
func Limit(want Sets, own Mask) (got Sets, missing Mask, err error) {
	//ex:begin oci.capabilities
	missing = (want.Bounding | want.Permitted | want.Inheritable) &^ own
	got.Bounding = want.Bounding & own
	got.Permitted = want.Permitted & own
	got.Effective = want.Effective & got.Permitted // capset(2): effective must be a subset of permitted
	got.Inheritable = want.Inheritable & own
	got.Ambient = want.Ambient & got.Permitted & got.Inheritable // prctl(2), PR_CAP_AMBIENT_RAISE: EPERM otherwise
	return got, missing, nil
	//ex:stub
	// return Sets{}, 0, todo.Exercise("oci.capabilities")
	//ex:end oci.capabilities
}

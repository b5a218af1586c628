package differential

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// difference is one that stays, and why. Patterns are those of path.Match, where * does not match a slash.
type difference struct {
	peer      string // runc, crun, or * for both
	cases     string // pattern of the cases' names
	fact      string // pattern of the facts' names
	on        string // "v1" or "v2": only where the controllers are there; "": everywhere
	sometimes bool   // it depends on the machine
	reason    string
}

func (d difference) explains(testCase, peer, fact string) bool {
	return matches(d.peer, peer) && matches(d.cases, testCase) && matches(d.fact, fact)
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// A pattern that is no pattern would match nothing, in silence.
func TestKnownPatterns(t *testing.T) {
	for _, k := range known {
		for _, p := range []string{k.peer, k.cases, k.fact} {
			_, err := path.Match(p, "")
			require.NoError(t, err, p)
		}
		require.NotEmpty(t, k.reason)
	}
}

// known, by the part of the container that differs. runc is 1.1.5 and crun 1.8.1, as Debian 12 has them.
var known = []difference{
	// masks
	{peer: "runc", cases: "*", fact: "mount /proc/[kti]*", reason: "a mask is the host's /dev/null, opened and verified before the container can touch it; runc 1.1 binds the container's own (CVE-2025-31133)"},
	{peer: "runc", cases: "exec *", fact: "exec mount /proc/[kti]*", reason: "as above"},
	{peer: "runc", cases: "masks of all kinds", fact: "mount /*/*", reason: "as above"},
	{peer: "crun", cases: "*", fact: "mount /proc/[akti]*", reason: "crun remounts a mask read-only; /dev/null has nothing to protect. Its masks of directories are limited by size=0, ours by being read-only file systems"},
	{peer: "crun", cases: "exec *", fact: "exec mount /proc/[akti]*", reason: "as above"},
	{peer: "crun", cases: "*", fact: "mount /sys/firmware #1", reason: "as above"},
	{peer: "crun", cases: "exec *", fact: "exec mount /sys/firmware #1", reason: "as above"},
	{peer: "crun", cases: "masks of all kinds", fact: "mount /*/* #?", reason: "as above, and it mounts each twice"},
	{peer: "crun", cases: "*engine*", fact: "mount /proc/*", reason: "a read-only path keeps nosuid, nodev and noexec of /proc with us and runc; crun loses them"},
	{peer: "crun", cases: "exec in the engine's", fact: "exec mount /proc/*", reason: "as above"},

	// mounts
	{peer: "*", cases: "*", fact: "mount /sys/fs/cgroup #1", reason: "config.json asks for ro: the directory that holds the hierarchies is read-only with us, on v1 too; theirs stays writable (and crun's says size=)"},
	{peer: "*", cases: "exec *", fact: "exec mount /sys/fs/cgroup #1", reason: "as above"},
	{peer: "*", cases: "mount cgroup again", fact: "mount /data #1", on: "v1", reason: "as above"},
	{peer: "crun", cases: "*", fact: "mount /sys #1", reason: "ro is set on the file system with us and runc, on the mount alone with crun"},
	{peer: "crun", cases: "exec *", fact: "exec mount /sys #1", reason: "as above"},
	{peer: "*", cases: "namespace cgroup", fact: "file /sys/fs/cgroup", on: "v1", reason: "mode of the tmpfs: ours is 0755, runc takes that of sysfs's directory, crun the default of tmpfs"},
	{peer: "*", cases: "root propagation shared", fact: "mount /*", reason: "what is mounted below a shared mount is shared (mount_namespaces(7)); runc and crun make them private again"},
	{peer: "*", cases: "root propagation shared", fact: "mount /*/*/*/*", on: "v1", reason: "as above"},
	{peer: "crun", cases: "root propagation shared", fact: "mount / #1", sometimes: true, reason: "as above"},
	{peer: "runc", cases: "root propagation unbindable", fact: "mount / #1", sometimes: true, reason: "runc 1.1 makes it private where it does not fail"},
	{peer: "crun", cases: "namespace of the host's processes", fact: "mount /proc #1", sometimes: true, reason: "/proc keeps nosuid, nodev and noexec with us and runc where it is the host's; crun loses them"},
	{peer: "crun", cases: "mount bind with all that forbids", fact: "mount /tmp #1", reason: "nosymfollow is a word of the specification; crun 1.8 knows it for remounts only"},
	{peer: "crun", cases: "mount bind [ru]*", fact: "mount /tmp #1", reason: "the propagation that a mount asks for holds; crun makes it private afterwards"},
	{peer: "crun", cases: "mount bind to a new place", fact: "file /very", reason: "crun makes missing directories with the sticky bit"},
	{peer: "runc", cases: "mount tmpfs", fact: "file /tmp", reason: "mode=1770 was asked for; runc 1.1 sets that of the directory below"},
	{peer: "*", cases: "mount tmpfs *", fact: "mount /[td]*", reason: "a tmpfs without a mode gets that of the directory below, as runc's: with us by mode=, which mountinfo shows"},
	{peer: "crun", cases: "mount tmpfs *", fact: "file /[td]*", reason: "as above; crun leaves 1777"},
	{peer: "runc", cases: "mount n*", fact: "mount /proc/[kt]*", sometimes: true, reason: "see masks"},
	{peer: "crun", cases: "namespace of users*", fact: "mount /dev/*", reason: "bound device nodes: crun adds nosuid and noexec, which mean nothing for a device"},
	{peer: "crun", cases: "exec in a namespace of users", fact: "exec mount /dev/*", reason: "as above"},
	{peer: "runc", cases: "namespace of users*", fact: "file /dev/mqueue", reason: "it belongs to root inside with us and crun; with runc its group is nobody's"},
	{peer: "runc", cases: "exec in a namespace of users", fact: "exec file /dev/mqueue", reason: "as above"},
	{peer: "crun", cases: "*", fact: "file /dev/core", sometimes: true, reason: "this kernel has no /proc/kcore, and crun makes the link all the same"},
	{peer: "crun", cases: "exec *", fact: "exec file /dev/core", sometimes: true, reason: "as above"},

	// cgroups
	{peer: "*", cases: "*", fact: "cgroup devices.list", on: "v1", reason: "runc 1.1 allows 10:200 (tun), which 1.2 took back; crun allows 5:1, the machine's console, and everything when config.json has no rules"},
	{peer: "*", cases: "resource cpu shares", fact: "cgroup cpu.weight", on: "v2", reason: "1024 shares, what nobody asked for, are a weight of 100, what nobody asked for, as with runc from 1.3.2 and crun from 1.23 on"},
	{peer: "*", cases: "namespace of users*", fact: "fd 3", on: "v2", reason: "the limit that Go looks for: with users and no groups of its own a container sees its group alone with us, as on v1; they show it the machine's whole tree"},
	{peer: "*", cases: "exec in a namespace of users", fact: "exec fd 3", on: "v2", reason: "as above"},
	{peer: "runc", cases: "resource swappiness and no OOM killer", fact: "refused", on: "v2", reason: "cgroup v2 has neither, and config-linux.md: what cannot be applied MUST be an error; runc forgets them, crun refuses one"},

	// the process
	{peer: "runc", cases: "hostname and domainname", fact: "domainname", reason: "runc 1.1 does not know it"},
	{peer: "*", cases: "process on a lower priority", fact: "ioprio", reason: "they do not know process.ioPriority yet"},
	{peer: "*", cases: "process with a scheduler", fact: "nice", reason: "they do not know process.scheduler yet"},
	{peer: "*", cases: "process with a scheduler", fact: "scheduler", reason: "as above"},
	{peer: "runc", cases: "*", fact: "limit Max open files", sometimes: true, reason: "as with exec: see below"},
	{peer: "*", cases: "process with a limit twice", fact: "refused", sometimes: true, reason: "config.md: with duplicated entries of rlimits a runtime MUST generate an error; they refuse it only where they may not raise limits"},
	{peer: "runc", cases: "exec *", fact: "exec limit Max open files", sometimes: true, reason: "the Go of runc 1.1 raises its own soft limit at start, and with it the program's"},
	{peer: "runc", cases: "odd: personality", fact: "machine", sometimes: true, reason: "runc 1.1 does not know linux.personality"},
	{peer: "runc", cases: "odd: personality", fact: "personality", reason: "as above"},
	{peer: "crun", cases: "process as a user nobody knows", fact: "env 02", reason: "HOME is / for a user without an entry, as with runc; crun sets none"},
	{peer: "*", cases: "mount bind a file", fact: "env 02", reason: "/etc/passwd is the mounted file, which is no passwd: with us HOME is what the image's said, read before the mounts"},
	{peer: "crun", cases: "*", fact: "keyring", reason: "crun names the session keyring by the id alone"},
	{peer: "crun", cases: "exec *", fact: "exec keyring", reason: "a process of exec joins the container's keyring, as with runc; crun leaves it the caller's"},
	{peer: "crun", cases: "exec *", fact: "exec leads", reason: "a process of exec leads a session of its own, as with runc: signals of the caller's terminal are not for it"},
	{peer: "runc", cases: "exec *", fact: "exec fd 0", reason: "standard input of exec is the caller's own; runc 1.1 puts a pipe between"},

	// seccomp
	{peer: "crun", cases: "seccomp of the engine*", fact: "call number *", reason: "a system call newer than the profile answers ENOSYS, as with runc: programs then try the older one"},
	{peer: "crun", cases: "exec in the engine's", fact: "exec call number *", reason: "as above"},

	// what one refuses and another takes
	{peer: "runc", cases: "devices", fact: "refused", reason: "runc 1.1 does not survive a /dev/null that is configured with mode 0600"},
	{peer: "*", cases: "seccomp with numbers of its own", fact: "refused", reason: "they refuse what their libseccomp does not know"},
	{peer: "runc", cases: "root propagation unbindable", fact: "refused", sometimes: true, reason: "runc 1.1 makes its root unbindable and then wants to bind it"},
	{peer: "crun", cases: "namespace twice", fact: "refused", reason: "config-linux.md: no type may stand twice; runc refuses it too"},
	{peer: "*", cases: "odd: time offsets without a namespace", fact: "refused", reason: "config-linux.md: offsets need a new time namespace; they would hold for nobody"},
	{peer: "crun", cases: "process with a relative working directory", fact: "refused", reason: "config.md: cwd MUST be absolute; runc refuses it too"},
	{peer: "crun", cases: "process with a variable that has no *", fact: "refused", reason: "environ(7): NAME=VALUE; runc refuses it too"},
	{peer: "*", cases: "mount on proc", fact: "refused", reason: "only a few files below /proc may be covered (CVE-2019-16884); runc 1.1 lets a tmpfs through"},
	{peer: "*", cases: "odd: version *", fact: "refused", reason: "a configuration of another major version is not understood; config.md: a runtime MUST generate an error"},
	{peer: "crun", cases: "resource pids without a limit", fact: "refused", on: "v1", reason: "config-linux.md: -1 is unlimited; crun 1.8 writes the number"},
}

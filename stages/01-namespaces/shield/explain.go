package shield

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// lesson is what a kind of leftover says about the program that left it.
type lesson struct{ prefix, code, means, try, read string }

// lessons are in the order of how much harm is done. The first that fits is told; all leftovers are named.
func lessons() []lesson {
	return []lesson{
		{"signal", "HOST-KILL-1", "somebody signalled more than he meant: kill(2) takes -1 for every process that the caller may signal, and 0 for its own group. A pid that was never set, or the -1 of a call that failed, becomes that number. On your machine this would have ended your session.", "strace -f -e trace=kill,pidfd_send_signal the test's command", "man 2 kill, DESCRIPTION"},
		{"hostname", "HOST-NAME-1", "the name of the test's host was changed: sethostname(2) ran in a process that is not in a uts namespace of its own. Inside a container it is the child that names itself, after the clone.", "readlink /proc/self/ns/uts, inside and outside", "man 7 uts_namespaces"},
		{"namespace", "HOST-NS-1", "a namespace was kept and not let go: a bind mount of /proc/PID/ns/KIND, which is how ip-netns(8) names network namespaces, holds it when all its processes have gone, until umount(2).", "isolate list    findmnt -t nsfs", "man 7 namespaces"},
		{"mount", "HOST-MOUNT-1", "the test's host does not have the mounts that it had. Either a mount was made or changed in the mount namespace of the caller, or in a new one whose mounts still propagate (shared), or an undo is missing on the way out.", "cat /proc/self/mountinfo, before and after the test", "man 7 mount_namespaces"},
		{"process", "HOST-PROC-1", "a process that was started is still there: nobody ended it and waited for it on this path, for example the one on which a later step fails.", "ps -e -o pid,ppid,stat,args", "man 2 wait4    man 2 pidfd_send_signal"},
		{"link", "HOST-NET-1", "a network link was made or taken in the caller's network namespace. One inside a namespace goes with the namespace; one outside has to be removed.", "ip link", "man 7 network_namespaces"},
		{"nftables", "HOST-NET-2", "rules of the firewall were left behind. A table in a namespace goes with it; one in the caller's has to be removed by whoever added it.", "nft list ruleset", "man 8 nft"},
		{"cgroup", "HOST-CGROUP-1", "a cgroup was made and not removed. It is a directory of the kernel's: rmdir(2) takes it away once no process is in it, and it stays for ever otherwise. Cgroups have no namespace that would hide them from the machine: this one is on yours.", "rmdir PATH", "man 7 cgroups"},
	}
}

// maxNamed is how many leftovers are named.
const maxNamed = 6

// explain is what a person reads: every leftover, and what the worst of them means.
func explain(left []string) string {
	d := teach.Diagnosis{
		Exercise: "shield", Title: "the machine is as it was before", Did: "compared the test's host before and after the tests of this package",
		Want: "nothing left, nothing changed",
	}
	for _, l := range lessons() {
		if i := slices.IndexFunc(left, l.about); i >= 0 {
			d.Code, d.Means, d.Read = l.code, l.means, l.read
			d.Try = strings.ReplaceAll(l.try, "PATH", strings.TrimPrefix(left[i], "cgroup "))
			break
		}
	}
	if n := len(left); n > maxNamed {
		left = append(left[:maxNamed:maxNamed], fmt.Sprintf("and %d more", n-maxNamed))
	}
	d.Saw = strings.Join(left, "\n")
	return d.String()
}

func (l lesson) about(left string) bool {
	return strings.HasPrefix(strings.TrimPrefix(left, "gone: "), l.prefix)
}

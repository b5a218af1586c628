package launch

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Private makes every mount below / private, so that nothing this namespace
// mounts is seen outside, and pivot_root(2) is allowed (EINVAL while a parent
// mount is shared).
func Private() Step {
	return Step{
		Name: "make / private, recursively", Side: Child,
		Because: "mount_namespaces(7): a new namespace is a copy, but its mounts still propagate to the old one",
		Code:    []Instr{Call(unix.SYS_MOUNT, Str("none"), Str("/"), Int(0), Int(unix.MS_REC|unix.MS_PRIVATE), Int(0))},
	}
}

// Mount is mount(2) on a path.
func Mount(source, target, fstype string, flags uintptr, data, because string) Step {
	return Step{
		Name: fmt.Sprintf("mount %s on %s", fstype, target), Because: because, Side: Child,
		Code: []Instr{Call(unix.SYS_MOUNT, Str(source), Str(target), Str(fstype), Int(flags), Str(data))},
	}
}

// Hostname is sethostname(2).
func Hostname(name string) Step {
	return Step{
		Name: "set the hostname to " + name, Because: "uts_namespaces(7): the name is this namespace's own", Side: Child,
		Code: []Instr{Call(unix.SYS_SETHOSTNAME, Str(name), Int(len(name)))},
	}
}

// Setns joins the namespaces of kind flags that the descriptor in the slot
// refers to: a /proc/PID/ns file, or a pidfd (setns(2)).
func Setns(fd Slot, flags uintptr, what string) Step {
	return Step{
		Name: "join " + what, Because: "setns(2); the raw child has one thread, so user and time namespaces let it in", Side: Child,
		Code: []Instr{Call(unix.SYS_SETNS, fd, Int(flags))},
	}
}

// BecomeRoot sets the user and group ids to 0 of the current user namespace.
// Without it execve drops the capabilities that joining the namespace gave
// (capabilities(7), "transformation of capabilities during execve").
func BecomeRoot() Step {
	return Step{
		Name: "become user 0, group 0", Because: "user_namespaces(7): unmapped ids lose their capabilities at execve", Side: Child,
		Code: []Instr{
			Call(unix.SYS_SETRESGID, Int(0), Int(0), Int(0)),
			Call(unix.SYS_SETRESUID, Int(0), Int(0), Int(0)),
		},
	}
}

// Chdir is chdir(2).
func Chdir(dir, because string) Step {
	return Step{
		Name: "chdir to " + dir, Because: because, Side: Child,
		Code: []Instr{Call(unix.SYS_CHDIR, Str(dir))},
	}
}

// NofileLimit gives the program the limit that this process was started with:
// Go raises the soft limit when it starts and lowers it again only for children
// that it starts itself (os/rlimit.go).
func NofileLimit(cur, max uint64) Step {
	return Step{
		Name: fmt.Sprintf("limit open files to %d (hard %d)", cur, max), Because: "getrlimit(2); the Go runtime had raised it", Side: Child,
		Code: []Instr{Call(unix.SYS_PRLIMIT64, Int(0), Int(unix.RLIMIT_NOFILE), words(cur, max), Int(0))},
	}
}

// CloseOnExec marks every descriptor from first on, so that the program starts
// with those below it alone (close_range(2); CVE-2024-21626).
func CloseOnExec(first uintptr) Step {
	return Step{
		Name: fmt.Sprintf("close descriptors from %d on at execve", first), Because: "close_range(2); a leaked descriptor is a way out (CVE-2024-21626)", Side: Child,
		Code: []Instr{Call(unix.SYS_CLOSE_RANGE, Int(first), Int(^uint32(0)), Int(unix.CLOSE_RANGE_CLOEXEC))},
	}
}

// KeepOnly closes every descriptor from first on but those in the slots, and what the child reports by. They move: the slots then
// hold first+1, first+2, … Whoever can look at the child from here on sees no file of the host's.
func KeepOnly(first int, because string, slots ...Slot) Step {
	slots = append([]Slot{slotTalk}, slots...)
	behind := first + len(slots)
	var out, in []Instr
	for i, s := range slots { // out of the way first: any of them may stand where another is to go
		out = append(out, Call(unix.SYS_FCNTL, s, Int(unix.F_DUPFD_CLOEXEC), Int(behind)).Into(s))
		in = append(in, Call(unix.SYS_DUP3, s, Int(first+i), Int(unix.O_CLOEXEC)).Into(s))
	}
	code := append(append(out, in...), ReportTo(slotTalk), Call(unix.SYS_CLOSE_RANGE, Int(behind), Int(^uint32(0)), Int(0)))
	return Step{Name: fmt.Sprintf("close descriptors from %d on", behind), Because: because, Side: Child, Code: code}
}

// Exec replaces the child by the program. A name without a slash is looked for
// in the directories of search as execvp(3) does: a directory that lacks it, or
// holds something that may not be executed, is passed over.
func Exec(argv, env []string, search string) Step {
	var code []Instr
	paths := candidates(argv[0], search)
	for n, p := range paths {
		i := Call(unix.SYS_EXECVE, Str(p), Strs(argv), Strs(env))
		if n < len(paths)-1 {
			i = i.Or(unix.ENOENT, unix.ENOTDIR, unix.EACCES)
		}
		code = append(code, i)
	}
	return Step{Name: "execve " + argv[0], Because: "execve(2); success closes the talk socket, silence is success", Side: Child, Code: code}
}

func candidates(name, search string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var paths []string
	for dir := range strings.SplitSeq(search, ":") {
		if dir != "" {
			paths = append(paths, path.Join(dir, name))
		}
	}
	return append(paths, "./"+name)[:max(len(paths), 1)]
}

// words is memory that holds 64-bit numbers in the machine's byte order.
func words(v ...uint64) *Mem {
	m := Buf(8 * len(v))
	for i, w := range v {
		nativePut(m.Data[8*i:], w)
	}
	return m
}

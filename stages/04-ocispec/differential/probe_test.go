package differential

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch/inherited"
)

// Facts say what a container is: a name such as "mount /proc" and what was seen there.
type Facts map[string]string

// request is what the probe is asked to look at besides what it always does: the last argument, as JSON.
type request struct {
	Read   []string `json:",omitempty"` // files whose text is a fact
	Empty  []string `json:",omitempty"` // files of which it counts only whether they say anything
	Stat   []string `json:",omitempty"` // files whose type, mode and owner are facts
	Write  []string `json:",omitempty"` // files that are opened for writing
	Calls  bool     `json:",omitempty"` // try system calls
	Status int      `json:",omitempty"` // exit with it
	Wait   bool     `json:",omitempty"` // say nothing, and leave when /go-on appears
}

// probeArg tells the test binary that it is the probe.
const probeArg = "--probe"

// probe is the program in the container. It writes its facts to standard output.
func probe(asked request) int {
	if asked.Wait {
		return waitToGoOn()
	}
	f := Facts{}
	f.identity()
	f.process()
	f.mounts()
	f.namespaces()
	f.descriptors()
	f.tree("/dev")
	for _, p := range []string{"/", "/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp"} {
		f.stat(p)
	}
	for _, p := range asked.Stat {
		f.stat(p)
	}
	for _, p := range asked.Read {
		f["read "+p] = firstLines(p)
	}
	for _, p := range asked.Empty {
		f["says "+p] = "something"
		if text := firstLines(p); text == "" || strings.HasPrefix(text, "error: ") {
			f["says "+p] = text
		}
	}
	for _, p := range asked.Write {
		fd, err := unix.Open(p, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		f["write "+p] = fmt.Sprint(err)
		if err == nil {
			_ = unix.Close(fd)
		}
	}
	if asked.Calls {
		f.calls()
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return 99
	}
	return asked.Status
}

// waitToGoOn is what a container does while another probe is executed in it.
func waitToGoOn() int {
	for range 4000 {
		if _, err := os.Lstat("/go-on"); err == nil {
			return 0
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 98
}

// firstLines reads up to 4 KiB of a file, or says why not.
func firstLines(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return cause(err)
	}
	defer file.Close()
	buf := make([]byte, 4096)
	n, err := file.Read(buf)
	if n == 0 && err != nil && err != io.EOF {
		return cause(err)
	}
	return string(buf[:n])
}

func cause(err error) string {
	for e := err; e != nil; {
		err = e
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	return "error: " + err.Error()
}

// identity: who the program is, proc_pid_status(5).
func (f Facts) identity() {
	status, err := os.ReadFile("/proc/self/status")
	f["status"] = fmt.Sprint(err)
	wanted := []string{"Uid", "Gid", "Groups", "Umask", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "Cpus_allowed_list", "Mems_allowed_list"}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains(wanted, name) {
			f["status "+name] = strings.Join(strings.Fields(value), " ")
		}
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(limits)) {
		if len(line) > 26 && !strings.HasPrefix(line, "Limit") {
			f["limit "+strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:]), " ")
		}
	}
	// Go has raised the soft limit by now; this is what the program was given.
	f["limit Max open files"] = fmt.Sprint(inherited.Nofile.Cur, " ", inherited.Nofile.Max)
}

// process: what else execve(2) handed over.
func (f Facts) process() {
	f["args"] = fmt.Sprintf("%q", os.Args[:len(os.Args)-2])
	for i, e := range os.Environ() {
		f[fmt.Sprintf("env %02d", i)] = e
	}
	var buf [4096]byte
	n, err := unix.Getcwd(buf[:])
	f["cwd"] = fmt.Sprint(strings.TrimRight(string(buf[:n]), "\x00"), " ", err)
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	f["hostname"], f["domainname"] = unix.ByteSliceToString(uts.Nodename[:]), unix.ByteSliceToString(uts.Domainname[:])
	f["machine"] = unix.ByteSliceToString(uts.Machine[:])
	f["oom_score_adj"] = firstLines("/proc/self/oom_score_adj")
	f["timens_offsets"] = firstLines("/proc/self/timens_offsets")
	f["cgroup"] = regexp.MustCompile(`(?m)^0::.*\n`).ReplaceAllString(firstLines("/proc/self/cgroup"), "") // crun is run without that tree
	f["loginuid"] = firstLines("/proc/self/loginuid")
	f.control("personality", unix.SYS_PERSONALITY, 0xffffffff)
	f.control("dumpable", unix.SYS_PRCTL, unix.PR_GET_DUMPABLE)
	f.control("keepcaps", unix.SYS_PRCTL, unix.PR_GET_KEEPCAPS)
	f.control("securebits", unix.SYS_PRCTL, unix.PR_GET_SECUREBITS)
	f.control("scheduler", unix.SYS_SCHED_GETSCHEDULER)
	f.control("nice", unix.SYS_GETPRIORITY)
	f.control("ioprio", unix.SYS_IOPRIO_GET, 1, 0)
	f["first process"] = fmt.Sprint(unix.Getpid() == 1)
	group, err := unix.Getpgid(0)
	session, err2 := unix.Getsid(0)
	f["leads"] = fmt.Sprint("its group ", group == unix.Getpid(), " ", err, ", its session ", session == unix.Getpid(), " ", err2)
	if name, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		f["keyring"] = err.Error()
	} else {
		f["keyring"] = name[strings.LastIndex(name, ";")+1:]
	}
}

// control records what a system call that only asks answers.
func (f Facts) control(name string, call uintptr, args ...uintptr) {
	var a [3]uintptr
	copy(a[:], args)
	v, _, errno := unix.RawSyscall(call, a[0], a[1], a[2])
	f[name] = strconv.FormatUint(uint64(v), 10)
	if errno != 0 {
		f[name] = errno.Error()
	}
}

// mounts: proc_pid_mountinfo(5), without the numbers that differ from run to run.
func (f Facts) mounts() {
	text, err := os.ReadFile("/proc/self/mountinfo")
	f["mountinfo"] = fmt.Sprint(err)
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		var spread []string
		for _, o := range l[6:] {
			spread = append(spread, strings.TrimRight(strings.SplitN(o, ":", 2)[0], "0123456789"))
		}
		super := ""
		if r[0] != "ext4" && r[0] != "overlay" && r[0] != "xfs" && r[0] != "btrfs" {
			super = sorted(r[len(r)-1])
		}
		seen[l[4]]++
		f[fmt.Sprintf("mount %s #%d", l[4], seen[l[4]])] = strings.Join([]string{r[0], "root=" + l[3], sorted(l[5]), super, strings.Join(spread, ",")}, " ")
	}
}

func sorted(words string) string {
	w := strings.Split(words, ",")
	slices.Sort(w)
	return strings.Join(w, ",")
}

func (f Facts) namespaces() {
	entries, _ := os.ReadDir("/proc/self/ns")
	for _, e := range entries {
		f["ns "+e.Name()], _ = os.Readlink("/proc/self/ns/" + e.Name())
	}
}

// descriptors: what was left open for the program, beyond what Go opened itself.
func (f Facts) descriptors() {
	for fd := range 64 {
		path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if err == nil && !strings.Contains(path, "eventpoll") && !strings.Contains(path, "eventfd") {
			f["fd "+strconv.Itoa(fd)] = strings.SplitN(path, "[", 2)[0]
		}
	}
}

// tree: all files below a directory, in two levels.
func (f Facts) tree(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		f["tree "+dir] = cause(err)
	}
	for _, e := range entries {
		f.stat(filepath.Join(dir, e.Name()))
	}
}

func (f Facts) stat(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		f["file "+path] = err.Error()
		return
	}
	f["file "+path] = fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFLNK:
		to, _ := os.Readlink(path)
		f["file "+path] += " -> " + to
	case syscall.S_IFCHR, syscall.S_IFBLK:
		f["file "+path] += fmt.Sprintf(" dev %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
}

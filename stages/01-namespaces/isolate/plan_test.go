package isolate_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/isolate"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

func TestMain(m *testing.M) { shield.Main(m) }

func kinds(t *testing.T, names ...string) []namespace.Kind {
	t.Helper()
	var ks []namespace.Kind
	for _, n := range names {
		k, err := namespace.Named(n)
		require.NoError(t, err)
		ks = append(ks, k)
	}
	return ks
}

// start runs the request's command with a pipe on its standard input, which it
// waits for, so that it can be looked at from outside.
func start(t *testing.T, r isolate.Request) *launch.Process {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	r.Env = os.Environ()
	if r.Argv == nil {
		r.Argv = []string{"sleep", "60"}
	}
	plan, err := isolate.Plan(r)
	teach.Begun(t, err)
	require.NoError(t, err)
	p, err := launch.Start(t.Context(), plan, launch.Options{})
	teach.Begun(t, err)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = p.Signal(unix.SIGKILL)
		_, _ = p.Wait()
		_ = p.Close()
	})
	return p
}

func nspid(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, line, _ := strings.Cut(string(b), "\nNSpid:")
	line, _, _ = strings.Cut(line, "\n")
	return strings.Join(strings.Fields(line), " ")
}

func TestCloneFlags(t *testing.T) {
	p := start(t, isolate.Request{New: kinds(t, "pid", "uts", "ipc")})
	ours, err := namespace.Of(os.Getpid())
	require.NoError(t, err)
	theirs, err := namespace.Of(p.PID())
	require.NoError(t, err)
	for _, file := range []string{"pid", "uts", "ipc"} {
		if theirs[file] == ours[file] {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "ns.clone-flags", Code: "NS-CLONE-1", Title: "the child is born in new namespaces",
				Did:   "isolate --pid --uts --ipc -- sleep 60, then read /proc/PID/ns from outside",
				Saw:   fmt.Sprintf("ns/%s %d of the child, ns/%s %d of the test; NSpid: %s", file, theirs[file], file, ours[file], nspid(t, p.PID())),
				Want:  "another number for pid, uts and ipc, and two numbers behind NSpid",
				Means: "a namespace that is asked for is missing from the flags of clone3. Each kind is one bit; all asked for go into one number.",
				Try:   "unshare --pid --fork --uts --ipc readlink /proc/self/ns/" + file,
				Read:  "docs/01-namespaces.md#flags    man 2 clone",
			})
		}
	}
	require.Equal(t, ours["mnt"], theirs["mnt"], "a namespace that nobody asked for")
	require.Equal(t, fmt.Sprintf("%d 1", p.PID()), nspid(t, p.PID()))
}

func TestPrivateMounts(t *testing.T) {
	dir := t.TempDir()
	ready := dir + "/ready"
	p := start(t, isolate.Request{
		New:  kinds(t, "mount"),
		Argv: []string{"sh", "-c", "mkdir " + dir + "/m && mount -t tmpfs slipway-test " + dir + "/m && touch " + ready + " && exec sleep 60"},
	})
	require.Eventually(t, func() bool { _, err := os.Stat(ready); return err == nil }, 5e9, 5e6)
	inside, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.PID()))
	require.NoError(t, err)
	require.Contains(t, string(inside), dir+"/m")
	outside, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	if line := find(string(outside), dir+"/m"); line != "" {
		_ = unix.Unmount(dir+"/m", unix.MNT_DETACH)
		teach.Fail(t, teach.Diagnosis{
			Exercise: "ns.private-mounts", Code: "NS-MNT-1", Title: "what is mounted inside is not seen outside",
			Did:   "isolate --mount -- mount -t tmpfs x " + dir + "/m, then read /proc/self/mountinfo outside",
			Saw:   line,
			Want:  "no such line: the mount belongs to the new namespace alone",
			Means: "a new mount namespace is a copy of the old one, but its mounts are still in the same peer groups (shared:N in the line of /): what is mounted in one appears in the other. systemd makes / shared at boot.",
			Try:   "unshare --mount --propagation unchanged sh, then mount something and look from another terminal",
			Read:  "docs/01-namespaces.md#mounts    man 7 mount_namespaces",
		})
	}
}

func find(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestJoin(t *testing.T) {
	all := slices.DeleteFunc(namespace.Kinds(), func(k namespace.Kind) bool { return k.File == "time" && !hasTime() })
	target := start(t, isolate.Request{New: all, MapRoot: true})
	guest := start(t, isolate.Request{Join: all, Target: target.PID()})
	want, err := namespace.Of(target.PID())
	require.NoError(t, err)
	got, err := namespace.Of(guest.PID())
	require.NoError(t, err)
	for _, k := range namespace.Kinds() {
		if got[k.File] != want[k.File] {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "ns.join", Code: "NS-JOIN-1", Title: "a second process enters a container",
				Did:   "started a process in eight new namespaces, then isolate --join PID -- sleep 60",
				Saw:   fmt.Sprintf("ns/%s is %d for the guest and %d for the target", k.File, got[k.File], want[k.File]),
				Want:  "the same number for all eight kinds",
				Means: "one kind was left out of setns, or joined before the user namespace that gives the right to join it.",
				Try:   fmt.Sprintf("nsenter --target %d --all readlink /proc/self/ns/%s", target.PID(), k.File),
				Read:  "docs/01-namespaces.md#join    man 2 setns",
			})
		}
	}
	require.Equal(t, fmt.Sprintf("%d 2", guest.PID()), nspid(t, guest.PID()))
}

func TestUsernsMap(t *testing.T) {
	p := start(t, isolate.Request{New: kinds(t, "user"), MapRoot: true})
	for _, file := range []string{"uid_map", "gid_map"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
		require.NoError(t, err)
		if got := strings.Join(strings.Fields(string(b)), " "); got != "0 0 1" {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "ns.userns-map", Code: "NS-USER-1", Title: "an ordinary user is root inside",
				Did:   "isolate --map-root-user -- sleep 60, then read /proc/PID/" + file,
				Saw:   file + ": " + got,
				Want:  file + ": 0 0 1     (id inside, id outside, how many)",
				Means: "each map is one line of three numbers, and each id needs its own file. An id without a map shows as 65534.",
				Try:   "unshare --user --map-root-user cat /proc/self/" + file,
				Read:  "docs/01-namespaces.md#maps    man 7 user_namespaces",
			})
		}
	}
}

func TestExplainIsTheContract(t *testing.T) {
	r := isolate.Request{
		New: kinds(t, "pid", "mount", "uts"), MountProc: true, Hostname: "box", Dir: "/tmp",
		Argv: []string{"sh"}, Nofile: [2]uint64{1024, 4096},
	}
	p, err := isolate.Plan(r)
	teach.Begun(t, err)
	require.NoError(t, err)
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Side.String()+" "+s.Name)
		require.NotEmpty(t, s.Because, s.Name)
	}
	require.Equal(t, []string{
		"parent clone3 pid mnt uts",
		"child make / private, recursively",
		"child mount proc on /proc",
		"child set the hostname to box",
		"child chdir to /tmp",
		"child limit open files to 1024 (hard 4096)",
		"child close descriptors from 3 on at execve",
		"child execve sh",
	}, names)
	require.NoError(t, p.Explain(io.Discard))
}

func TestContradictionsAreRefused(t *testing.T) {
	for want, r := range map[string]isolate.Request{
		"no command":                     {},
		"--hostname x without --uts":     {Hostname: "x", Argv: []string{"true"}},
		"--mount-proc without --mount":   {MountProc: true, Argv: []string{"true"}},
		"--map-root-user without --user": {MapRoot: true, Argv: []string{"true"}},
		`"a\x00b" holds a NUL byte`:      {Argv: []string{"a\x00b"}},
	} {
		_, err := isolate.Plan(r)
		require.ErrorContains(t, err, want)
	}
}

func TestListFindsANewNamespace(t *testing.T) {
	p := start(t, isolate.Request{New: kinds(t, "uts")})
	ids, err := namespace.Of(p.PID())
	require.NoError(t, err)
	all, err := namespace.List()
	require.NoError(t, err)
	for _, n := range all {
		if n.ID == ids["uts"] {
			require.Equal(t, namespace.Namespace{
				ID: ids["uts"], Kind: "uts", Path: fmt.Sprintf("/proc/%d/ns/uts", p.PID()), Procs: 1, PID: p.PID(), PPID: os.Getpid(),
				Command: "sleep 60", Owner: ids["user"], Members: []int{p.PID()},
			}, n)
			return
		}
	}
	t.Fatalf("namespace %d of process %d is not listed", ids["uts"], p.PID())
}

func TestProgramExitStatus(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	bin := t.TempDir() + "/isolate"
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/isolate").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--pid", "--", "sh", "-c", "exit 7"}, 7, ""},
		{[]string{"--pid", "--", "no-such-program"}, 127, "isolate: execve no-such-program: no such file or directory\n"},
		{[]string{"--", "/etc/passwd"}, 126, "isolate: execve /etc/passwd: permission denied\n"},
		{[]string{"--", "sh", "-c", "kill -TERM $$"}, 143, ""},
		{[]string{"--join", "4194305", "--", "true"}, 1, "isolate: no process 4194305: file does not exist\n"},
		{[]string{"list", "-t", "uts,nonsense"}, 1, "isolate: unknown namespace \"nonsense\": the kernel has user, pid, ipc, uts, network, cgroup, time, mount\n"},
	} {
		cmd := exec.Command(bin, c.args...)
		out, _ := cmd.CombinedOutput()
		require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%v: %s", c.args, out)
		require.Equal(t, c.text, string(out), "%v", c.args)
	}
}

func TestKeepAndJoinByPath(t *testing.T) {
	path := t.TempDir() + "/uts"
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	p := start(t, isolate.Request{New: kinds(t, "uts"), Keep: map[string]string{"uts": path}, Hostname: "kept"})
	ids, err := namespace.Of(p.PID())
	require.NoError(t, err)
	require.NoError(t, p.Signal(unix.SIGKILL))
	_, _ = p.Wait()
	guest := start(t, isolate.Request{JoinPaths: map[string]string{"uts": path}})
	got, err := namespace.Of(guest.PID())
	require.NoError(t, err)
	require.Equal(t, ids["uts"], got["uts"], "the namespace outlives its process")

	_, err = launch.Start(t.Context(), must(isolate.Plan(isolate.Request{JoinPaths: map[string]string{"net": path}, Argv: []string{"true"}})), launch.Options{})
	require.ErrorContains(t, err, path+" is no network namespace")
}

func must(p *launch.Plan, err error) *launch.Plan {
	if err != nil {
		panic(err)
	}
	return p
}

// hasTime: before Linux 5.6, and on some architectures, there is no such kind.
func hasTime() bool {
	_, err := os.Stat("/proc/self/ns/time")
	return err == nil
}

func TestClockOffsets(t *testing.T) {
	if !hasTime() {
		t.Skip("needs time namespaces")
	}
	p := start(t, isolate.Request{New: kinds(t, "time"), Clock: isolate.Clock{Boottime: 1_000_000}})
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/timens_offsets", p.PID()))
	require.NoError(t, err)
	require.Equal(t, "monotonic 0 0 boottime 1000000 0", strings.Join(strings.Fields(string(b)), " "))
	ours, err := namespace.Of(os.Getpid())
	require.NoError(t, err)
	theirs, err := namespace.Of(p.PID())
	require.NoError(t, err)
	require.NotEqual(t, ours["time"], theirs["time"])
}

func TestPidChild(t *testing.T) {
	target := start(t, isolate.Request{New: kinds(t, "pid")})
	guest := start(t, isolate.Request{Join: kinds(t, "pid"), Target: target.PID()})
	if got, want := nspid(t, guest.PID()), fmt.Sprintf("%d 2", guest.PID()); got != want {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "ns.pid-child", Code: "NS-PID-1", Title: "a child is born into a pid namespace that exists",
			Did:   "isolate --pid -- sleep 60, then isolate --join PID --pid -- sleep 60",
			Saw:   "NSpid: " + got + "    (one number for each pid namespace that it is in)",
			Want:  "NSpid: " + want + "    (2: process 1 is the first sleep)",
			Means: "setns moves nobody into a pid namespace: a process keeps its number for life. It only decides where the caller's next children are born. So it is the parent that must join, before it makes the child.",
			Try:   fmt.Sprintf("nsenter --target %d --pid sh -c 'grep NSpid /proc/self/status'", target.PID()),
			Read:  "docs/01-namespaces.md#pid    man 7 pid_namespaces",
		})
	}
}

func TestProcMount(t *testing.T) {
	p := start(t, isolate.Request{New: kinds(t, "pid", "mount"), MountProc: true})
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/proc", p.PID()))
	require.NoError(t, err)
	var pids []string
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") == "" {
			pids = append(pids, e.Name())
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.PID()))
	require.NoError(t, err)
	line := ""
	for l := range strings.Lines(string(mounts)) {
		if strings.Contains(l, " /proc ") {
			line = strings.TrimSpace(l) // the last one is on top
		}
	}
	d := teach.Diagnosis{
		Exercise: "ns.proc-mount", Title: "ps shows the container's processes only",
		Did: "isolate --pid --mount-proc -- sleep 60, then looked into its /proc", Read: "docs/01-namespaces.md#proc    man 5 proc",
	}
	if len(pids) != 1 || pids[0] != "1" {
		d.Code, d.Saw, d.Want = "NS-PROC-1", fmt.Sprintf("%d processes in it\n%s", len(pids), line), "one process, 1"
		d.Means = "a /proc shows the pid namespace of whoever mounted it. The copy of the old one, or a bind of it, still shows the old namespace: a new proc file system must be mounted, by the child, which is inside."
		d.Try = "unshare --pid --fork --mount sh -c 'ps | wc -l; mount -t proc proc /proc; ps | wc -l'"
		teach.Fail(t, d)
	}
	for _, option := range []string{"nosuid", "nodev", "noexec"} {
		if !strings.Contains(line, option) {
			d.Code, d.Saw, d.Want = "NS-PROC-2", line, "nosuid,nodev,noexec among the options"
			d.Means = "a mount has the flags that it was mounted with and no others. A user namespace may not even mount proc with fewer than the one that is there has (EPERM)."
			d.Try = "grep ' /proc ' /proc/self/mountinfo"
			teach.Fail(t, d)
		}
	}
}

func TestHostname(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile("/proc/sys/kernel/" + file)
		require.NoError(t, err)
		return strings.TrimSpace(string(b))
	}
	outside := read("hostname")
	out := t.TempDir() + "/out"
	p := start(t, isolate.Request{
		New: kinds(t, "uts"), Hostname: "slipway-box",
		Argv: []string{"sh", "-c", "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname >" + out + ".new; mv " + out + ".new " + out + "; exec sleep 60"},
	})
	_ = p
	require.Eventually(t, func() bool { _, err := os.Stat(out); return err == nil }, 10e9, 5e6)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	inside, domain, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if inside != "slipway-box" || read("hostname") != outside {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "ns.hostname", Code: "NS-UTS-1", Title: "a container has a name of its own",
			Did:   "isolate --uts --hostname slipway-box -- cat /proc/sys/kernel/hostname",
			Saw:   fmt.Sprintf("inside: hostname %q, domainname %q\noutside: %q", inside, domain, read("hostname")),
			Want:  fmt.Sprintf("inside: hostname \"slipway-box\"   outside: %q", outside),
			Means: "uname(2) has two names that can be set, by two calls; each takes the text and its length, and the kernel cuts where you say. It is the child that calls, which is in the new namespace.",
			Try:   "unshare --uts sh -c 'hostname slipway-box; uname -n'; uname -n",
			Read:  "docs/01-namespaces.md#hostname    man 2 sethostname",
		})
	}
}

func TestMoreSteps(t *testing.T) {
	p, err := isolate.Plan(isolate.Request{
		New: kinds(t, "user", "mount"), MapRoot: true, Propagation: "slave", SetGroups: "deny", Root: "/srv", Argv: []string{"true"},
	})
	require.NoError(t, err)
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
	}
	require.Contains(t, names, "make / slave, recursively")
	require.Contains(t, names, "make /srv the root")
	for want, r := range map[string]isolate.Request{
		"--propagation x: want": {Propagation: "x", Argv: []string{"true"}},
		"--setgroups without":   {SetGroups: "deny", Argv: []string{"true"}},
		"exclude each other":    {New: kinds(t, "user"), MapRoot: true, SetGroups: "allow", Argv: []string{"true"}},
	} {
		_, err := isolate.Plan(r)
		require.ErrorContains(t, err, want)
	}
}

func TestRanges(t *testing.T) {
	r, err := isolate.ParseRange("0:100000:65536")
	require.NoError(t, err)
	p := start(t, isolate.Request{New: kinds(t, "user"), Maps: isolate.Maps{Users: []isolate.Range{r}, Groups: []isolate.Range{r}}})
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", p.PID()))
	require.NoError(t, err)
	require.Equal(t, "0 100000 65536", strings.Join(strings.Fields(string(b)), " "))
	for text, want := range map[string]string{
		"1:2":            `"1:2" is not INSIDE:OUTSIDE:COUNT`,
		"a:2:3":          `"a:2:3": "a" is no id`,
		"1:2:4294967296": `"1:2:4294967296": "4294967296" is no id`,
		"1:2:0":          `"1:2:0" maps no id`,
	} {
		_, err := isolate.ParseRange(text)
		require.EqualError(t, err, want)
	}
}

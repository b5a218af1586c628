package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// parent is the cgroup that those of the tests lie in.
var parent = fmt.Sprintf("/slipway-test-%d", os.Getpid())

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "swrk" {
		if err := fakeCRIU(); err != nil {
			fmt.Fprintln(os.Stderr, "fake criu:", err)
			os.Exit(1)
		}
		return
	}
	if order := os.Getenv(dieEnv); order != "" {
		if err := beTheOneThatDies(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if code, done := apart(); done {
		os.Exit(code)
	}
	code := m.Run()
	if layout, err := cgroup.Detect(); err == nil && os.Geteuid() == 0 {
		group, err := layout.Group(parent)
		if err == nil {
			err = group.Remove(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// apart runs the tests again in a mount namespace of their own, in which / is shared as on a host: some mount on the "host".
func apart() (code int, done bool) {
	const inside = "SLIPWAY_TEST_APART"
	if os.Geteuid() != 0 {
		return 0, false
	}
	if os.Getenv(inside) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			fmt.Fprintln(os.Stderr, "share / again:", err)
			return 2, true
		}
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), inside+"=1"), os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // os/exec makes / private
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 2, true
	}
	return cmd.ProcessState.ExitCode(), true
}

// place is where a test's containers live.
type place struct {
	*runtime.Runtime
	dir      string // of the runtime
	out      string // shown as /out inside
	warnings []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := os.Stat("/bin/busybox"); err != nil {
		t.Skip("needs a static /bin/busybox")
	}
	if _, err := cgroup.Detect(); err != nil {
		t.Skip("needs cgroups")
	}
	p := &place{dir: t.TempDir(), out: t.TempDir()}
	require.NoError(t, os.Chmod(p.out, 0o777))
	require.NoError(t, os.Chmod(filepath.Dir(p.out), 0o755)) // a user namespace's root is an ordinary user on the way there
	root, err := state.Open(p.dir)
	require.NoError(t, err)
	p.Runtime = runtime.New(root, func(w string) { p.warnings = append(p.warnings, w) })
	return p
}

// bundle makes a bundle whose program is a shell script, changed as the test wants it.
func (p *place) bundle(t *testing.T, script string, change func(*specs.Spec)) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)))
	for _, d := range []string{"bin", "proc", "etc", "tmp", "dev", "sys", "out"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "rootfs", d), 0o755))
	}
	text, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rootfs/bin/busybox"), text, 0o755))
	for _, name := range []string{"sh", "cat", "id", "ls", "sleep", "true", "grep", "touch", "hostname", "test", "kill", "echo", "readlink"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(dir, "rootfs/bin", name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rootfs/etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), 0o644))
	s := spec.Example()
	s.Process.Terminal, s.Process.Args = false, []string{"sh", "-c", script}
	s.Root.Readonly = false
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/out", Type: "bind", Source: p.out, Options: []string{"rbind"}})
	s.Linux.CgroupsPath = parent + "/" + filepath.Base(dir) + filepath.Base(filepath.Dir(dir))
	if change != nil {
		change(s)
	}
	config, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644))
	return dir
}

// create makes a container and removes it when the test ends.
func (p *place) create(t *testing.T, bundle string) {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Delete(context.Background(), "c", true))
		_, _ = proc.Wait() // a test may have waited already
		require.NoError(t, proc.Close())
	})
}

// run creates and starts a container and waits for its end.
func (p *place) run(t *testing.T, script string, change func(*specs.Spec)) (out string, status int) {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "r", Bundle: p.bundle(t, script, change)})
	require.NoError(t, err)
	defer proc.Close()
	require.NoError(t, p.Start(t.Context(), "r"))
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.NoError(t, p.Delete(t.Context(), "r", false))
	text, err := os.ReadFile(filepath.Join(p.out, "out"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return string(text), ws.ExitStatus()
}

func (p *place) status(t *testing.T) lifecycle.Status {
	t.Helper()
	v, err := p.State("c")
	require.NoError(t, err)
	return v.Status
}

func TestALife(t *testing.T) {
	p := newPlace(t)
	_, err := p.State("c")
	require.EqualError(t, err, "container does not exist")
	p.create(t, p.bundle(t, "echo started >/out/out; sleep 1000", nil))
	require.Equal(t, lifecycle.Created, p.status(t))
	require.NoFileExists(t, filepath.Join(p.out, "out"), "the program waits for start")
	require.EqualError(t, p.Resume(t.Context(), "c"), "container not paused")
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "true", nil)})
	require.EqualError(t, err, "container with given ID already exists")

	require.NoError(t, p.Start(t.Context(), "c"))
	require.Equal(t, lifecycle.Running, p.status(t))
	require.Eventually(t, func() bool { b, _ := os.ReadFile(filepath.Join(p.out, "out")); return string(b) == "started\n" }, 10*time.Second, time.Millisecond)
	require.EqualError(t, p.Start(t.Context(), "c"), "cannot start an already running container")
	require.EqualError(t, p.Delete(t.Context(), "c", false), "cannot delete container that is not stopped: running")

	require.NoError(t, p.Pause(t.Context(), "c"))
	require.Equal(t, lifecycle.Paused, p.status(t))
	require.NoError(t, p.Resume(t.Context(), "c"))
	pids, err := p.Pids("c")
	require.NoError(t, err)
	require.NotEmpty(t, pids)

	require.NoError(t, p.Kill(t.Context(), "c", unix.SIGKILL, false))
	require.Eventually(t, func() bool { return p.status(t) == lifecycle.Stopped }, 10*time.Second, time.Millisecond)
	require.EqualError(t, p.Kill(t.Context(), "c", unix.SIGTERM, false), "container not running")
	require.NoError(t, p.Delete(t.Context(), "c", false))
	require.NoError(t, p.Delete(t.Context(), "c", true), "with force an unknown id is a success")
	require.ErrorIs(t, p.Delete(t.Context(), "c", false), state.ErrNotExist)
}

func TestAPausedContainerDies(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	require.NoError(t, p.Start(t.Context(), "c"))
	require.NoError(t, p.Pause(t.Context(), "c"))
	require.NoError(t, p.Kill(t.Context(), "c", unix.SIGKILL, false))
	require.Eventually(t, func() bool { return p.status(t) == lifecycle.Stopped }, 10*time.Second, time.Millisecond)
}

func TestWhatTheProgramSees(t *testing.T) {
	p := newPlace(t)
	out, status := p.run(t, `{ id; hostname; echo $HOME $0; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; readlink /dev/fd; pwd; } >/out/out 2>&1; ls /proc/self/fd >>/out/out; exit 7`, func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}}
		s.Process.Cwd = "/made/for/me"
		s.Hostname = "inside"
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "77"}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	})
	require.Equal(t, 7, status)
	require.Equal(t, `uid=1000(app) gid=1000 groups=5
inside
/home/app sh
CapEff:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
77
/proc/self/fd
/made/for/me
0
1
2
3
`, out, "descriptor 3 is the one that ls reads the directory by")
}

func TestAUserNamespace(t *testing.T) {
	p := newPlace(t)
	out, _ := p.run(t, "{ id -u; cat /proc/self/uid_map; echo x >/dev/null && echo null works; touch /bin/new 2>&1; } >/out/out 2>&1", func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	})
	require.Equal(t, "0\n         0     100000      65536\nnull works\ntouch: /bin/new: Permission denied\n", out)
}

func TestJoinedNamespaces(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	v, err := p.State("c")
	require.NoError(t, err)
	for _, own := range []bool{false, true} { // with a user namespace of its own the thread joins, not the child
		_ = os.Remove(filepath.Join(p.out, "out")) // of the round before
		script := "{ readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; test $$ -gt 1 && echo not first; } >/out/out"
		out, _ := p.run(t, script, func(s *specs.Spec) {
			for i, n := range s.Linux.Namespaces {
				switch n.Type {
				case specs.NetworkNamespace:
					s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/net", v.PID)
				case specs.IPCNamespace:
					s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/ipc", v.PID)
				case specs.PIDNamespace:
					if !own { // proc cannot be mounted for a pid namespace of the host's
						s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/pid", v.PID)
					}
				}
			}
			if own {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
				s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
				s.Linux.GIDMappings = s.Linux.UIDMappings
				s.Mounts = s.Mounts[:1:1]
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev", Type: "tmpfs"}, specs.Mount{Destination: "/out", Type: "bind", Source: p.out, Options: []string{"rbind"}})
			}
		})
		net, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", v.PID))
		ipc, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/ipc", v.PID))
		want := net + "\n" + ipc + "\n"
		if !own {
			want += "not first\n"
		}
		require.Equal(t, want, out)
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	now, _ := os.Readlink("/proc/thread-self/ns/net")
	require.Equal(t, own, now)
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "w", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.Namespaces[1].Path = fmt.Sprintf("/proc/%d/ns/uts", v.PID)
	})})
	require.ErrorContains(t, err, "it is a namespace of another kind")
}

func TestHooksInTheirOrder(t *testing.T) {
	p := newPlace(t)
	log := filepath.Join(p.out, "log")
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >" + log + "." + name + "; echo " + name + " >>" + log}, Env: []string{"PATH=/bin:/usr/bin"}}}
	}
	inside := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/out/log.startContainer; echo startContainer >>/out/log; test -e /bin/busybox"}}}
	_, status := p.run(t, "echo program >>/out/log", func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{
			Prestart: hook("prestart"), CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"), //nolint:staticcheck // Docker uses prestart
			StartContainer: inside, Poststop: hook("poststop"),
		}
	})
	require.Zero(t, status)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "prestart\ncreateRuntime\ncreateContainer\nstartContainer\nprogram\npoststop\n", string(text))
	for name, want := range map[string]string{"prestart": "created", "createContainer": "creating", "startContainer": "created", "poststop": "stopped"} {
		var st specs.State
		text, err := os.ReadFile(log + "." + name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &st), string(text))
		require.Equal(t, specs.ContainerState(want), st.Status, name)
		require.Equal(t, want == "stopped", st.Pid == 0, name)
	}
}

// exec runs a command in the container c and returns its status.
func (p *place) exec(t *testing.T, change func(*specs.Process), args ...string) (int, error) {
	t.Helper()
	proc, err := p.Exec(t.Context(), runtime.ExecOptions{ID: "c", Process: func(own *specs.Process) (*specs.Process, error) {
		pr := *own
		pr.Args = args
		if change != nil {
			change(&pr)
		}
		return &pr, nil
	}})
	if err != nil {
		return 0, err
	}
	defer proc.Close()
	ws, err := proc.Wait()
	require.NoError(t, err)
	return ws.ExitStatus(), nil
}

func TestExec(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	}))
	require.NoError(t, p.Start(t.Context(), "c"))
	status, err := p.exec(t, func(pr *specs.Process) {
		pr.User, pr.Cwd, pr.Env = specs.User{UID: 1000, GID: 1000}, "/tmp", append(pr.Env, "A=b")
	}, "sh", "-c", `{ id; pwd; echo $A $HOME; test $$ -gt 1 && echo a child of the namespace; grep -E 'CapEff|CapInh|Seccomp:' /proc/self/status; } >/out/out 2>&1; ls /proc/self/fd >>/out/out; exit 9`)
	require.NoError(t, err)
	require.Equal(t, 9, status)
	out, err := os.ReadFile(filepath.Join(p.out, "out"))
	require.NoError(t, err)
	require.Equal(t, "uid=1000(app) gid=1000\n/tmp\nb /home/app\na child of the namespace\nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\nSeccomp:\t2\n0\n1\n2\n3\n", string(out))
	_, err = p.exec(t, nil, "nope")
	require.EqualError(t, err, `unable to start container process: exec: "nope": executable file not found in $PATH`)
	_, err = p.exec(t, nil, "/etc/passwd")
	require.EqualError(t, err, `unable to start container process: exec: "/etc/passwd": permission denied`)
}

// TestNothingIsLeftOfAFailure breaks create in many places and looks for leftovers.
func TestNothingIsLeftOfAFailure(t *testing.T) {
	p := newPlace(t)
	for name, c := range map[string]struct {
		change func(*specs.Spec)
		want   string
	}{
		"missing program":   {func(s *specs.Spec) { s.Process.Args = []string{"nope"} }, `unable to start container process: exec: "nope": executable file not found in $PATH`},
		"missing path":      {func(s *specs.Spec) { s.Process.Args = []string{"/nope"} }, `unable to start container process: exec: "/nope": stat /nope: no such file or directory`},
		"not executable":    {func(s *specs.Spec) { s.Process.Args = []string{"/etc/passwd"} }, `unable to start container process: exec: "/etc/passwd": permission denied`},
		"missing rootfs":    {func(s *specs.Spec) { s.Root.Path = "/no/such/root" }, `invalid rootfs: stat /no/such/root: no such file or directory`},
		"unknown namespace": {func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "galaxy" }, `config.json: linux.namespaces[0].type: unknown namespace "galaxy"`},
		"missing source": {func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Source: "/no/such", Options: []string{"bind"}})
		}, "unable to start container process: error during container init: error mounting: bind /no/such on /x: no such file or directory"},
		"bad file system":  {func(s *specs.Spec) { s.Mounts[1].Type = "nofs" }, "unable to start container process: error during container init: error mounting: mount nofs on /dev (nosuid): no such device"},
		"bad sysctl value": {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "maybe"} }, `unable to start container process: set net.ipv4.ip_forward to "maybe": invalid argument`},
		"failing hook": {func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}}
		}, "unable to start container process: run 1 prestart and createRuntime hooks: error running createRuntime hook #0: /bin/false: exit status 1"},
		"failing hook inside": {func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/false"}}}
		}, "unable to start container process: run 1 createContainer hooks: error running createContainer hook #0: /bin/false: exit status 1: "},
		"bad seccomp":       {func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOPE"} }, `linux.seccomp: defaultAction: unknown action "SCMP_ACT_NOPE"`},
		"no such namespace": {func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/no/such/ns" }, "unable to start container process: open network namespace /no/such/ns: /no/such/ns: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			for pid := 1; pid > 0; { // what other tests have left to their subreaper
				pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
			}
			var path string
			bundle := p.bundle(t, "true", func(s *specs.Spec) { c.change(s); path = s.Linux.CgroupsPath })
			_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
			require.EqualError(t, err, c.want)
			entries, err := os.ReadDir(p.dir)
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			require.Empty(t, entries, "state directories")
			layout, err := cgroup.Detect()
			require.NoError(t, err)
			group, err := layout.Group(path)
			require.NoError(t, err)
			require.False(t, group.Exists(), "cgroup "+path)
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			require.NoError(t, err)
			require.NotContains(t, string(mounts), filepath.Dir(bundle))
			pid, _ := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			require.LessOrEqual(t, pid, 0, "processes")
		})
	}
}

func TestACreateThatWasKilledIsClearedUp(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "c"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "c/state.json"), []byte(`{"id":"c","bundle":"/b"}`), 0o600))
	require.Equal(t, lifecycle.Creating, p.status(t))
	require.EqualError(t, p.Delete(t.Context(), "c", false), "cannot delete container that is not stopped: creating")
	require.NoError(t, p.Delete(t.Context(), "c", true))
	require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "c"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "c/state.json"), []byte(`{"id":"c`), 0o600))
	require.NoError(t, p.Delete(t.Context(), "c", true), "a torn record does not make it immortal")
	require.Len(t, p.warnings, 1)
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]unix.Signal{"9": 9, "KILL": 9, "SIGKILL": 9, "term": 15, "0": 0, "SIGUSR1": unix.SIGUSR1} {
		got, err := runtime.ParseSignal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "NOPE", "-1", "65", "SIG"} {
		_, err := runtime.ParseSignal(text)
		require.Error(t, err, text)
	}
}

func TestUpdate(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	if err := p.Update("c", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(33))}}); err != nil {
		t.Skip("needs a pids controller: ", err)
	}
	s, _, err := p.Stats("c")
	require.NoError(t, err)
	require.Equal(t, uint64(33), s.Pids.Limit)
}

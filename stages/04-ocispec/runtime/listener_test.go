package runtime_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// agent is a seccomp agent: it lets every call happen but mkdir, which it answers with an error of its own.
type agent struct {
	path   string
	states chan specs.ContainerProcessState
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	a := &agent{path: filepath.Join(t.TempDir(), "agent"), states: make(chan specs.ContainerProcessState, 8)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() { // ends with the listener
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			data, control := make([]byte, 8192), make([]byte, unix.CmsgSpace(4))
			n, m, _, _, err := conn.ReadMsgUnix(data, control)
			var st specs.ContainerProcessState
			if err != nil || json.Unmarshal(data[:n], &st) != nil {
				return
			}
			messages, _ := unix.ParseSocketControlMessage(control[:m])
			fds, _ := unix.ParseUnixRights(&messages[0])
			_ = conn.Close()
			a.states <- st
			go decide(fds[0]) // ends with the last process that has the filter
		}
	}()
	return a
}

// decide serves a listener (seccomp_unotify(2)): struct seccomp_notif is 80 bytes, seccomp_notif_resp 24.
func decide(fd int) {
	defer unix.Close(fd)
	const recv, send = 0xc0502100, 0xc0182101
	for {
		var in [80]byte
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), recv, uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
			return
		}
		var out struct {
			id    uint64
			val   int64
			errno int32
			flags uint32
		}
		out.id, out.flags = *(*uint64)(unsafe.Pointer(&in[0])), 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
		if nr := *(*int32)(unsafe.Pointer(&in[16])); nr == unix.SYS_MKDIR {
			out.flags, out.errno = 0, -int32(unix.ENOMEDIUM)
		}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), send, uintptr(unsafe.Pointer(&out))); errno != 0 {
			return
		}
	}
}

func (a *agent) profile(s *specs.Spec, names ...string) {
	s.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, ListenerPath: a.path, ListenerMetadata: "meta",
		Syscalls: []specs.LinuxSyscall{{Names: names, Action: specs.ActNotify}},
	}
}

// TestSeccompAgent: create's process and exec's each have a listener, and the calls that a launch itself makes behind the
// filter may be among those that the agent decides.
func TestSeccompAgent(t *testing.T) {
	for _, locked := range []bool{false, true} {
		p, a := newPlace(t), newAgent(t)
		p.create(t, p.bundle(t, "busybox mkdir /tmp/x 2>/out/out; echo >/out/done; sleep 1000", func(s *specs.Spec) {
			s.Process.NoNewPrivileges = locked
			a.profile(s, "mkdir", "execve", "close", "read", "openat", "sendmsg", "sendto", "recvfrom", "capset", "prctl", "exit_group")
		}))
		require.NoError(t, p.Start(t.Context(), "c"))
		st := <-a.states
		v, err := p.State("c")
		require.NoError(t, err)
		require.Equal(t, specs.ContainerProcessState{
			Version: specs.Version, Fds: []string{"seccompFd"}, Pid: v.PID, Metadata: "meta",
			State: specs.State{Version: specs.Version, ID: "c", Status: "created", Pid: v.PID, Bundle: v.Bundle, Annotations: st.State.Annotations},
		}, st)
		waitForFile(t, filepath.Join(p.out, "done"))
		text, err := os.ReadFile(filepath.Join(p.out, "out"))
		require.NoError(t, err)
		require.Contains(t, string(text), "No medium found")

		proc, err := p.Exec(t.Context(), runtime.ExecOptions{ID: "c", Process: func(c *specs.Process) (*specs.Process, error) {
			e := *c
			e.Args = []string{"sh", "-c", "busybox mkdir /tmp/y && exit 3; exit 4"}
			return &e, nil
		}})
		require.NoError(t, err)
		st = <-a.states
		require.Equal(t, proc.PID(), st.Pid)
		require.Equal(t, specs.ContainerState("running"), st.State.Status)
		ws, err := proc.Wait()
		require.NoError(t, err)
		require.NoError(t, proc.Close())
		require.Equal(t, 4, ws.ExitStatus())
	}
}

func TestWithoutAnAgentNothingStarts(t *testing.T) {
	p := newPlace(t)
	a := &agent{path: "/no/agent"}
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "touch /out/out", func(s *specs.Spec) { a.profile(s, "mkdir") })})
	require.NoError(t, err)
	defer proc.Close()
	require.ErrorContains(t, p.Start(t.Context(), "c"), "failed to connect with seccomp agent specified in the seccomp profile")
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.Equal(t, 125, ws.ExitStatus())
	require.NoFileExists(t, filepath.Join(p.out, "out"))
	require.NoError(t, p.Delete(t.Context(), "c", true))
}

// TestStartHooksAreInTheContainer: they have the container's user, limits and filter (runtime-spec config.md, startContainer).
func TestStartHooksAreInTheContainer(t *testing.T) {
	p := newPlace(t)
	_, status := p.run(t, "true", func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}}
		s.Process.Cwd = "/tmp"
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 77}}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENOMEDIUM))},
		}}
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{
			Path: "/bin/sh", Args: []string{"sh", "-c", "{ id -u; id -G; pwd; ulimit -n; busybox mkdir /tmp/a; grep -o '\"status\":\"[a-z]*\"'; ls /proc/self/fd; } >/out/hook 2>&1; exit 0"},
			Env: []string{"PATH=/bin"},
		}}}
	})
	require.Zero(t, status)
	text, err := os.ReadFile(filepath.Join(p.out, "hook"))
	require.NoError(t, err)
	require.Equal(t, "1000\n1000 5\n/tmp\n77\nmkdir: can't create directory '/tmp/a': No medium found\n\"status\":\"created\"\n0\n1\n2\n3\n", string(text))
}

func TestAStartHookThatTheFilterKills(t *testing.T) {
	p := newPlace(t)
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActKill}}}
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}}
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/busybox", Args: []string{"mkdir", "/tmp/a"}}}}
	})})
	require.NoError(t, err)
	defer proc.Close()
	require.ErrorContains(t, p.Start(t.Context(), "c"), "error running startContainer hook #0: /bin/busybox: killed by SIGSYS: bad system call")
	require.NoError(t, p.Delete(t.Context(), "c", true))
	_, _ = proc.Wait()
}

// TestCreateContainerHooksStandInTheRootFileSystem, where hooks say ./lib for the image's.
func TestCreateContainerHooksStandInTheRootFileSystem(t *testing.T) {
	p := newPlace(t)
	out, status := p.run(t, "cat /etc/mark >/out/out", func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo here >./etc/mark"}, Env: []string{"PATH=/bin"}}}}
	})
	require.Zero(t, status)
	require.Equal(t, "here\n", out)
}

func waitForFile(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(name); return err == nil }, time.Minute, 5*time.Millisecond)
}

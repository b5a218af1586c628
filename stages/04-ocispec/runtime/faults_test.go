package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// The list is data, so each of its steps can be made to fail in turn: every fault that a create, start or exec can meet.

var errInjected = errors.New("injected")

// faulty are configurations that together have every kind of step.
func faulty(p *place) map[string]func(*specs.Spec) {
	hook := []specs.Hook{{Path: "/bin/true"}}
	budget := func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(50))}, Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))}}
		s.Process.OOMScoreAdj = new(100)
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 0, Hard: 0}}
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/kcore", "/etc"}, []string{"/proc/sys"}
		s.Root.Readonly = true
	}
	return map[string]func(*specs.Spec){
		"limits, masks and a filter": budget,
		"hooks and a terminal": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: hook, CreateContainer: hook}
			s.Process.Terminal = true
		},
		"user namespace": func(s *specs.Spec) {
			ownUsers(s)
			mount(s, "/tmp", "tmpfs", "tmpfs", "tmpcopyup")
			if timeNamespaces() {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
				s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 7}}
			}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc", Source: p.out, Options: []string{"rbind", "idmap"}})
		},
		"mounts on the host": func(s *specs.Spec) {
			s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace })
		},
	}
}

// socket is for a terminal that nobody looks at.
func socket(t *testing.T) runtime.Terminal {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(unix.Close(pair[0]), unix.Close(pair[1]))) })
	return func() (*os.File, error) {
		fd, err := unix.FcntlInt(uintptr(pair[0]), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewFile(uintptr(fd), "console"), err
	}
}

// breakStep makes the step with an index fail, and keeps its name.
func breakStep(n int, name *string) launch.Options {
	return launch.Options{Edit: func(p *launch.Plan) {
		if n >= len(p.Steps) {
			return
		}
		s := &p.Steps[n]
		*name = s.Name
		switch {
		case s.Clone != nil:
			s.Clone = &launch.Clone{Flags: unix.CLONE_SIGHAND} // EINVAL without CLONE_VM
		case s.Side == launch.Child:
			s.Code = []launch.Instr{launch.Expect(launch.Buf(8), 0, 1, 1, unix.ENOSYS)}
		default:
			s.Do = func(*launch.Run) error { return errInjected }
		}
	}}
}

// traces are what a container could leave behind, apart from what its directory holds.
type traces struct {
	dir, bundle string
	group       *cgroup.Group
	fds         int
}

func (p *place) traces(t *testing.T, bundle string) traces {
	t.Helper()
	_, err := p.State("warm") // opens what the runtime keeps open
	require.ErrorIs(t, err, state.ErrNotExist)
	layout, err := cgroup.Detect()
	require.NoError(t, err)
	group, err := layout.Group(parent + "/" + filepath.Base(bundle) + filepath.Base(filepath.Dir(bundle)))
	require.NoError(t, err)
	return traces{p.dir, bundle, group, openFiles(t)}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "/sys/fs/cgroup") { // layouts of other tests
			n++
		}
	}
	return n
}

// none fails the test when something is left.
func (w traces) none(t *testing.T, after string) {
	t.Helper()
	for { // orphans are ours to reap: the test is a subreaper
		if pid, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD || pid <= 0 && err != unix.EINTR {
			break
		}
	}
	left, err := os.ReadDir(w.dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	require.Empty(t, left, "state of a container after %s", after)
	require.False(t, w.group.Exists(), "cgroup after %s", after)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), w.bundle, "mounts after %s", after)
	require.Equal(t, w.fds, openFiles(t), "open files after %s", after)
}

func TestEveryStepOfCreateFailsOnce(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	for name, change := range faulty(p) {
		t.Run(name, func(t *testing.T) {
			bundle := p.bundle(t, "true", change)
			var terminal runtime.Terminal
			if name == "hooks and a terminal" {
				terminal = socket(t)
			}
			before := p.traces(t, bundle)
			for n := 0; ; n++ {
				var step string
				opts := runtime.CreateOptions{ID: "f", Bundle: bundle, Terminal: terminal, Watch: breakStep(n, &step)}
				proc, err := p.Create(t.Context(), opts)
				if err != nil {
					requireNamed(t, err, step)
					before.none(t, "failure of "+step)
					continue
				}
				err = p.Start(t.Context(), "f") // the step stands behind the gate
				done := step == ""
				switch {
				case strings.HasPrefix(step, "close all ") || strings.HasPrefix(step, "wait for start") || strings.HasPrefix(step, "accept "): // nobody listens between record and gate
					require.ErrorContains(t, err, "stopped")
				case !done:
					requireNamed(t, err, step)
				}
				require.NoError(t, p.Delete(t.Context(), "f", true))
				_, _ = proc.Wait()
				require.NoError(t, proc.Close())
				before.none(t, "failure of "+step)
				if done {
					require.NoError(t, err)
					require.Greater(t, n, 25, "steps")
					return
				}
			}
		})
	}
}

// requireNamed wants an error to say which step failed. That of the program's is in the words that engines look for.
func requireNamed(t *testing.T, err error, step string) {
	t.Helper()
	require.Error(t, err, step)
	if strings.HasPrefix(step, "find the program") || strings.HasPrefix(step, "execve ") {
		require.ErrorContains(t, err, `exec: "sh": `)
		return
	}
	require.ErrorContains(t, err, step)
	if !errors.Is(err, errInjected) && !errors.Is(err, unix.EINVAL) {
		require.ErrorIs(t, err, unix.ENOSYS)
	}
}

func TestEveryStepOfExecFailsOnce(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	p.create(t, p.bundle(t, "sleep 1000", func(s *specs.Spec) {
		ownUsers(s)
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	}))
	require.NoError(t, p.Start(t.Context(), "c"))
	own, err := p.Pids("c")
	require.NoError(t, err)
	console := socket(t)
	for _, terminal := range []bool{false, true} {
		for n, step := 0, "?"; step != ""; n++ {
			step = ""
			opts := runtime.ExecOptions{ID: "c", Watch: breakStep(n, &step), Process: func(of *specs.Process) (*specs.Process, error) {
				pr := *of
				pr.Args, pr.Terminal, pr.User.UID = []string{"sh", "-c", "exit 3"}, terminal, 7
				return &pr, nil
			}}
			if terminal {
				opts.Terminal = console
			}
			proc, err := p.Exec(t.Context(), opts)
			if step == "" {
				require.NoError(t, err)
				ws, err := proc.Wait()
				require.NoError(t, err)
				require.Equal(t, 3, ws.ExitStatus())
				require.NoError(t, proc.Close())
				require.Greater(t, n, 12, "steps")
				continue
			}
			requireNamed(t, err, step)
			pids, err := p.Pids("c")
			require.NoError(t, err)
			require.Equal(t, own, pids, "processes after failure of "+step)
		}
	}
}

// TestARuntimeKilledAtAnyStep: what it leaves is removed by delete --force, whole, and its id can be used again.
func TestARuntimeKilledAtAnyStep(t *testing.T) {
	eachKillable(t, func(t *testing.T, p *place, bundle string) {
		before := p.traces(t, bundle)
		for n, how := 0, killed; how == killed; n++ {
			how = die(t, n, atStep, p.dir, bundle)
			at := fmt.Sprintf("SIGKILL before step %d", n+1)
			_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "k", Bundle: bundle})
			require.Error(t, err, "the id is taken: "+at)
			require.NoError(t, p.Delete(t.Context(), "k", true), at)
			before.none(t, at)
		}
		proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "k", Bundle: bundle})
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), "k"))
		_, err = proc.Wait()
		require.NoError(t, errors.Join(err, proc.Close(), p.Delete(t.Context(), "k", false)))
		before.none(t, "a life after all that")
	})
}

// TestAnUnheardCreateIsUndone: the caller was to be told the process's number, and cannot be.
func TestAnUnheardCreateIsUndone(t *testing.T) {
	p := newPlace(t)
	for name, change := range faulty(p) {
		bundle := p.bundle(t, "true", func(s *specs.Spec) { change(s); s.Process.Terminal = false })
		before := p.traces(t, bundle)
		dir := t.TempDir()
		for _, opts := range []runtime.CreateOptions{{PIDFile: "/no/such/dir/pid"}, {PIDFDSocket: "/no/such/socket"}, {PIDFile: dir + "/dir"}} {
			require.NoError(t, os.MkdirAll(dir+"/dir/full", 0o700))
			opts.ID, opts.Bundle = "u", bundle
			_, err := p.Create(t.Context(), opts)
			require.Error(t, err, name)
			before.none(t, name)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1, "beside the pid file")
		}
	}
}

// TestDeleteGoesOnWhereAnotherDied: each state that a delete, or a disk, can leave.
func TestDeleteGoesOnWhereAnotherDied(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	bundle := p.bundle(t, "sleep 1000", nil)
	before := p.traces(t, bundle)
	for name, damage := range map[string]func(){
		"process dead": func() { require.NoError(t, p.Kill(t.Context(), "d", unix.SIGKILL, true)) },
		"group gone": func() {
			require.NoError(t, before.group.Kill(t.Context()))
			require.NoError(t, before.group.Remove(t.Context()))
		},
		"record gone, process lives": func() { require.NoError(t, os.Remove(filepath.Join(p.dir, "d/state.json"))) },
		"record torn, process lives": func() { require.NoError(t, os.Truncate(filepath.Join(p.dir, "d/state.json"), 30)) },
		"record a directory": func() {
			require.NoError(t, errors.Join(os.Remove(filepath.Join(p.dir, "d/state.json")), os.Mkdir(filepath.Join(p.dir, "d/state.json"), 0o700)))
		},
		"paused": func() { require.NoError(t, p.Pause(t.Context(), "d")) },
	} {
		proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "d", Bundle: bundle})
		require.NoError(t, err, name)
		require.NoError(t, proc.Close())
		require.NoError(t, p.Start(t.Context(), "d"), name)
		damage()
		require.NoError(t, p.Delete(t.Context(), "d", true), name)
		before.none(t, name)
	}
}

// dieEnv tells a copy of the test program to be the runtime that dies.
const dieEnv = "SLIPWAY_TEST_DIE"

// death is what became of a runtime that was to be killed.
type death int

const (
	killed   death = iota
	survived       // the step was not reached, or what was to kill it was jumped over
	notFound       // there is no such step
)

// die creates container k and starts it, or without a bundle execs in it, in a process that kills itself around a step.
func die(t *testing.T, step int, when, root, bundle string) death {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	proc, err := os.StartProcess(self, []string{self}, &os.ProcAttr{
		Env: append(os.Environ(), fmt.Sprintf("%s=%d %s %s %s", dieEnv, step, when, root, bundle)), Files: []*os.File{null, os.Stderr, os.Stderr},
	})
	require.NoError(t, err)
	st, err := proc.Wait()
	require.NoError(t, err)
	ws := st.Sys().(syscall.WaitStatus)
	switch {
	case ws.Signaled():
		require.Equal(t, syscall.SIGKILL, ws.Signal())
		return killed
	case ws.ExitStatus() == noSuch:
		return notFound
	}
	require.True(t, st.Success(), "without a death: %v", st)
	return survived
}

// beTheOneThatDies is what the copy does.
func beTheOneThatDies(order string) error {
	words := append(strings.Fields(order), "")
	step, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	dir, err := state.Open(words[2])
	if err != nil {
		return err
	}
	rt := runtime.New(dir, func(string) {})
	var none bool
	watch := dieAt(step, words[1], &none)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := live(ctx, rt, words[3], watch); err != nil {
		return err
	}
	if none {
		os.Exit(noSuch)
	}
	return nil
}

// live is what the runtime would do if it lived.
func live(ctx context.Context, rt *runtime.Runtime, bundle string, watch launch.Options) error {
	if bundle != "" {
		if _, err := rt.Create(ctx, runtime.CreateOptions{ID: "k", Bundle: bundle, Watch: watch}); err != nil {
			return err
		}
		if watch.Edit == nil {
			return nil // what start does is not watched
		}
		return rt.Start(ctx, "k")
	}
	proc, err := rt.Exec(ctx, runtime.ExecOptions{ID: "k", Watch: watch, Process: func(of *specs.Process) (*specs.Process, error) {
		pr := *of
		pr.Args = []string{"true"}
		return &pr, nil
	}})
	if err != nil {
		return err
	}
	_, err = proc.Wait()
	return err
}

// reapAll reaps whatever this process inherits as a subreaper, until it is told to stop and nothing is left.
func reapAll() (stop func()) {
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			pid, _ := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid > 0 {
				continue
			}
			select {
			case <-enough:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(enough); <-done }
}

// TestAnExecKilledAtAnyStep: the half-made process ends by itself, and the container goes on.
func TestAnExecKilledAtAnyStep(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "k", Bundle: p.bundle(t, "sleep 1000", ownUsers)})
	require.NoError(t, err)
	defer func() {
		stop := reapAll() // a zombie that was inside holds up the end of the container's first process
		require.NoError(t, errors.Join(p.Delete(context.Background(), "k", true), proc.Close()))
		stop()
	}()
	require.NoError(t, p.Start(t.Context(), "k"))
	n := 0
	for ; die(t, n, atStep, p.dir, "") == killed; n++ {
		p.requireAlone(t, proc.PID(), fmt.Sprintf("SIGKILL before step %d", n+1))
	}
	require.Greater(t, n, 12, "steps")
}

// eachKillable runs f with each of the configurations, with a hook besides.
func eachKillable(t *testing.T, f func(t *testing.T, p *place, bundle string)) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	for name, change := range faulty(p) {
		if name == "hooks and a terminal" { // its hooks are below, with all the rest
			continue
		}
		t.Run(name, func(t *testing.T) {
			bundle := p.bundle(t, "true", func(s *specs.Spec) {
				change(s)
				s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}}
			})
			f(t, p, bundle)
		})
	}
}

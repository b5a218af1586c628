package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// Faults that come when a step has done some or all of its work: faults_test.go has those that come before.

// breakAfter makes the parent's step with an index fail when it has acted. A step that has an Undo is answered for by it as soon as it has
// succeeded, so its fault is one of a step that is put in behind it.
func breakAfter(n int, name *string) launch.Options {
	return launch.Options{Edit: func(p *launch.Plan) {
		if n >= len(p.Steps) {
			return
		}
		s := &p.Steps[n]
		*name = s.Name
		switch act := s.Do; {
		case act == nil:
		case s.Undo != nil:
			p.Steps = slices.Insert(p.Steps, n+1, launch.Step{Name: s.Name, Do: func(*launch.Run) error { return errInjected }})
		default:
			s.Do = func(r *launch.Run) error {
				if err := act(r); err != nil {
					return err
				}
				return errInjected
			}
		}
	}}
}

// eachFault calls try with the options that break one place after the other, until one has found no step to break. Of steps that are
// alike, as those of devices and masks are, the first is enough: seen remembers them.
func eachFault(seen map[string]bool, try func(o launch.Options, step *string)) {
	for n, step := 0, "?"; step != ""; n++ {
		step = ""
		try(breakAfter(n, &step), &step)
	}
	for _, step := range stepsOf(try) {
		words := strings.Fields(step.Name + " .")
		kind := fmt.Sprint(words[0], words[1], len(step.Code))
		for k := 1; k < len(step.Code) && !seen[kind]; k++ {
			if k < 8 || k > len(step.Code)-3 { // in between a long one repeats itself
				try(breakInstruction(step.n, k), &step.Name)
			}
		}
		seen[kind] = true
	}
}

// numbered is a step with its index.
type numbered struct {
	launch.Step
	n int
}

// stepsOf are the steps of the plan that try performs.
func stepsOf(try func(o launch.Options, step *string)) (steps []numbered) {
	whole := ""
	try(launch.Options{Edit: func(p *launch.Plan) {
		for n, s := range p.Steps {
			steps = append(steps, numbered{s, n})
		}
	}}, &whole)
	return steps
}

// breakInstruction makes one instruction of one of the child's steps fail, when those before it have done their work.
func breakInstruction(n, k int) launch.Options {
	return launch.Options{Edit: func(p *launch.Plan) {
		code := slices.Clone(p.Steps[n].Code) // a plan's steps may share theirs
		code[k] = launch.Expect(launch.Buf(8), 0, 1, 1, unix.ENOSYS).At(code[k].Label)
		p.Steps[n].Code = code
	}}
}

// terminal is one that nobody looks at, until done: what is sent and never received would fill a socket.
func terminal(t *testing.T, wanted bool) (_ runtime.Terminal, done func()) {
	t.Helper()
	if !wanted {
		return nil, func() {}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	ours := os.NewFile(uintptr(pair[1]), "console")
	console := os.NewFile(uintptr(pair[0]), "console")
	return func() (*os.File, error) { return console, nil }, func() { _ = errors.Join(ours.Close(), console.Close()) } // which the launch has closed, if it came so far
}

// TestEveryActOfCreateFailsOnce: each of the parent's steps when it has acted, and each system call of the child's. One that is jumped
// over does no harm; then the container comes to be.
func TestEveryActOfCreateFailsOnce(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	seen := map[string]bool{}
	for name, change := range faulty(p) {
		t.Run(name, func(t *testing.T) {
			bundle := p.bundle(t, "true", change)
			before := p.traces(t, bundle)
			failed := 0
			eachFault(seen, func(o launch.Options, step *string) {
				terminal, done := terminal(t, name == "hooks and a terminal")
				defer done()
				proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "f", Bundle: bundle, Terminal: terminal, Watch: o})
				if err == nil {
					err = p.Start(t.Context(), "f")
					require.NoError(t, p.Delete(t.Context(), "f", true))
					_, _ = proc.Wait()
					require.NoError(t, proc.Close())
				}
				if err != nil {
					failed++
				}
				done()
				before.none(t, "failure of "+*step)
			})
			require.Greater(t, failed, 15, "faults that were met")
		})
	}
}

// TestEveryActOfExecFailsOnce: the container goes on, and has no process more.
func TestEveryActOfExecFailsOnce(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	p.create(t, p.bundle(t, "sleep 1000", func(s *specs.Spec) {
		ownUsers(s)
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	}))
	require.NoError(t, p.Start(t.Context(), "c"))
	own, err := p.Pids("c")
	require.NoError(t, err)
	open := openFiles(t)
	for _, wanted := range []bool{false, true} {
		failed := 0
		eachFault(map[string]bool{}, func(o launch.Options, step *string) {
			terminal, done := terminal(t, wanted)
			defer done()
			proc, err := p.Exec(t.Context(), runtime.ExecOptions{ID: "c", Watch: o, Terminal: terminal, Process: func(of *specs.Process) (*specs.Process, error) {
				pr := *of
				pr.Args, pr.Terminal, pr.User.UID = []string{"true"}, terminal != nil, 7
				return &pr, nil
			}})
			if err == nil {
				_, err := proc.Wait()
				require.NoError(t, errors.Join(err, proc.Close()))
			} else {
				failed++
			}
			pids, err := p.Pids("c")
			require.NoError(t, err)
			require.Equal(t, own, pids, "processes after failure of "+*step)
			done()
			require.Equal(t, open, openFiles(t), "open files after failure of "+*step)
		})
		require.Greater(t, failed, 30, "faults that were met")
	}
}

// The three moments at which a runtime is killed around a step.
const (
	atStep    = "at"    // before it
	afterStep = "after" // when it has acted; its child is at work, or waits
	noSuch    = 7       // the exit status of one that found no step to die at
)

// dieAt kills this process around a step. A child's step tells us that it has acted, and then waits until we are dead: from there on
// it goes on alone. It uses its standard input, because all else is closed on its way.
func dieAt(n int, when string, none *bool) launch.Options {
	die := func() error { return unix.Kill(unix.Getpid(), unix.SIGKILL) }
	*none = true
	edit := func(p *launch.Plan) {
		if n >= len(p.Steps) {
			return
		}
		*none = false
		s := &p.Steps[n]
		if s.Clone != nil && n+1 < len(p.Steps) && p.Steps[n+1].Side == launch.Child { // when the child is born
			s = &p.Steps[n+1]
			s.Code = append(orphaned(die), s.Code...)
			return
		}
		if s.Side == launch.Child {
			s.Code = append(slices.Clip(s.Code), orphaned(die)...)
			return
		}
		if act := s.Do; act != nil {
			s.Do = func(r *launch.Run) error { return errors.Join(act(r), die()) }
		}
	}
	if when == afterStep {
		return launch.Options{Edit: edit}
	}
	return launch.Options{Before: func(m int, _ launch.Step) error {
		if m == n {
			return die()
		}
		return nil
	}}
}

// orphaned are instructions at which the parent dies, and the child goes on.
func orphaned(die func() error) []launch.Instr {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Dup3(pair[1], 0, 0)
	}
	if err != nil {
		panic(err) // in the process that is to die
	}
	go func() {
		var b [1]byte
		if n, _ := unix.Read(pair[0], b[:]); n == 1 {
			_ = die()
		}
	}()
	return []launch.Instr{
		launch.Call(unix.SYS_CLOSE, launch.Int(pair[0])).Or(unix.EBADF),
		launch.Call(unix.SYS_CLOSE, launch.Int(pair[1])).Or(unix.EBADF),
		launch.Call(unix.SYS_WRITE, launch.Int(0), launch.Buf(1), launch.Int(1)),
		launch.Call(unix.SYS_READ, launch.Int(0), launch.Buf(8), launch.Int(1)).Or(unix.ECONNRESET),
	}
}

// TestARuntimeKilledAfterAnyStep: the child goes on without it, as far as it gets, and delete --force removes all of it.
func TestARuntimeKilledAfterAnyStep(t *testing.T) {
	eachKillable(t, func(t *testing.T, p *place, bundle string) {
		before := p.traces(t, bundle)
		deaths := 0
		for n := 0; ; n++ {
			how := die(t, n, afterStep, p.dir, bundle)
			if how == killed {
				deaths++
			}
			at := fmt.Sprintf("SIGKILL behind step %d", n+1)
			require.NoError(t, p.Delete(t.Context(), "k", true), at)
			before.none(t, at)
			requireNoKeyring(t, "_ses.k", at)
			if how == notFound {
				break
			}
		}
		require.Greater(t, deaths, 20)
	})
}

// TestAnExecKilledAfterAnyStep: the half-made process ends by itself, or has become the program and ends as that.
func TestAnExecKilledAfterAnyStep(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "k", Bundle: p.bundle(t, "sleep 1000", ownUsers)})
	require.NoError(t, err)
	defer func() {
		stop := reapAll()
		require.NoError(t, errors.Join(p.Delete(t.Context(), "k", true), proc.Close()))
		stop()
	}()
	require.NoError(t, p.Start(t.Context(), "k"))
	deaths := 0
	for n := 0; ; n++ {
		how := die(t, n, afterStep, p.dir, "")
		if how == notFound {
			break
		}
		if how == killed {
			deaths++
		}
		p.requireAlone(t, proc.PID(), fmt.Sprintf("SIGKILL behind step %d", n+1))
	}
	require.Greater(t, deaths, 12)
}

// requireAlone waits until the container k has its first process alone, and reaps what this process inherits meanwhile.
func (p *place) requireAlone(t *testing.T, pid int, after string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for pid := 1; pid > 0; {
			pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
		}
		pids, err := p.Pids("k")
		return err == nil && slices.Equal(pids, []int{pid})
	}, 10*time.Second, 5*time.Millisecond, after)
}

// requireNoKeyring: a keyring goes with the last process that has it, a moment later (keyrings(7)).
func requireNoKeyring(t *testing.T, name, after string) {
	t.Helper()
	if _, err := os.Stat("/proc/keys"); err != nil {
		return // a kernel without keys
	}
	require.Eventually(t, func() bool {
		keys, err := os.ReadFile("/proc/keys")
		return err == nil && !strings.Contains(string(keys), name+":")
	}, 10*time.Second, 5*time.Millisecond, "keyring %s after %s", name, after)
}

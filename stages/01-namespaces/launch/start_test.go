package launch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	. "github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
)

func TestMain(m *testing.M) { shield.Main(m) }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func clone(flags uint64) Step {
	return Step{Name: "clone3", Because: "clone(2)", Clone: &Clone{Flags: flags}}
}

const isolated = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// output runs a plan whose last step is sh -c script, with its standard output
// in a pipe.
func output(t *testing.T, p *Plan, script string, o Options) (string, unix.WaitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	hold := Step{Name: "open the pipe", Do: func(run *Run) error { run.Hold(1, w); return nil }}
	p.Steps = append([]Step{hold}, p.Steps...)
	p.Add(
		Step{Name: "connect the pipe", Side: Child, Code: []Instr{Call(unix.SYS_DUP3, Slot(1), Int(1), Int(0))}},
		Exec([]string{"sh", "-c", script}, []string{"PATH=/bin:/usr/bin"}, "/nowhere:/usr/bin:/bin"),
	)
	proc, err := Start(t.Context(), p, o)
	require.NoError(t, err)
	defer proc.Close()
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	ws, err := proc.Wait()
	require.NoError(t, err)
	return string(out), ws
}

func TestChildIsPIDOneWithItsOwnHostname(t *testing.T) {
	needRoot(t)
	p := new(Plan).Add(clone(isolated), Private(), Mount("proc", "/proc", "proc", 0, "", ""), Hostname("born"))
	out, ws := output(t, p, `echo $$; hostname; readlink /proc/self/ns/uts | cut -c1-3; ls /proc/self/fd | wc -l; exit 7`, Options{})
	require.Equal(t, "1\nborn\nuts\n", out[:strings.Index(out, "uts")+4])
	require.Equal(t, 7, ws.ExitStatus())
	name, _ := os.Hostname()
	require.NotEqual(t, "born", name)
}

func TestFailureNamesTheStepAndKeepsTheErrno(t *testing.T) {
	needRoot(t)
	p := new(Plan).Add(clone(unix.CLONE_NEWNS), Mount("x", "/no/such/place", "tmpfs", 0, "", ""), Exec([]string{"/bin/true"}, nil, ""))
	_, err := Start(t.Context(), p, Options{})
	require.EqualError(t, err, "mount tmpfs on /no/such/place: no such file or directory")
	require.ErrorIs(t, err, os.ErrNotExist)
	step, _ := errors.AsType[*StepError](err)
	require.Equal(t, 2, step.N)
	require.Equal(t, Child, step.Side)
}

func TestMissingProgram(t *testing.T) {
	p := new(Plan).Add(clone(0), Exec([]string{"nope"}, nil, "/usr/bin:/bin"))
	_, err := Start(t.Context(), p, Options{})
	require.EqualError(t, err, "execve nope: no such file or directory")
}

func TestTurnsAlternate(t *testing.T) {
	var told []string
	parent := func(s string) Step {
		return Step{Name: s, Do: func(r *Run) error {
			cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", r.PID()))
			told = append(told, s+" "+cwd)
			return err
		}}
	}
	p := new(Plan).Add(clone(0), Chdir("/tmp", ""), parent("first"), Chdir("/usr", ""), parent("second"))
	_, ws := output(t, p, "exit 0", Options{})
	require.Zero(t, ws.ExitStatus())
	require.Equal(t, []string{"first /tmp", "second /usr"}, told)
}

func TestParentFailureUndoesInReverse(t *testing.T) {
	var undone []string
	act := func(s string) Step {
		return Step{Name: s, Do: func(*Run) error { return nil }, Undo: func(*Run) error { undone = append(undone, s); return nil }}
	}
	broken := errors.New("out of luck")
	p := new(Plan).Add(act("one"), clone(0), act("two"),
		Step{Name: "three", Do: func(*Run) error { return broken }}, Exec([]string{"/bin/true"}, nil, ""))
	_, err := Start(t.Context(), p, Options{})
	require.EqualError(t, err, "three: out of luck")
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"two", "one"}, undone)
}

func TestLoadAndHave(t *testing.T) {
	needRoot(t)
	m := &Mem{Data: []byte{0xff, 1, 0, 0, 0}}
	p := new(Plan).Add(clone(0), Step{Name: "load", Side: Child, Code: []Instr{
		Have(5).On(unix.EPIPE, "empty"),
		Call(unix.SYS_EXIT_GROUP, Int(9)),
		Load(m, 1, 5).At("empty"),
		Have(5),
		Call(unix.SYS_DUP3, Slot(5), Int(8), Int(0)), // slot 5 holds 1, the pipe of output
	}})
	p.Steps[1].Code = append([]Instr{Call(unix.SYS_DUP3, Slot(1), Int(1), Int(0))}, p.Steps[1].Code...)
	out, _ := output(t, p, "echo over 8 >&8", Options{})
	require.Equal(t, "over 8\n", out)
}

func TestBranchesAndExpect(t *testing.T) {
	m := &Mem{Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}}
	p := new(Plan).Add(clone(0), Step{Name: "branch", Side: Child, Code: []Instr{
		Call(unix.SYS_CHDIR, Str("/no/such")).On(unix.ENOENT, "missing"),
		Call(unix.SYS_EXIT_GROUP, Int(1)),
		Expect(m, 0, 0xff, 0x99, unix.EINVAL).On(unix.EINVAL, "differs").At("missing"),
		Call(unix.SYS_EXIT_GROUP, Int(2)),
		Expect(m, 0, 0, 0, unix.EINVAL).Goto(Next).At("differs"),
		Call(unix.SYS_EXIT_GROUP, Int(3)),
	}})
	_, ws := output(t, p, "exit 42", Options{})
	require.Equal(t, 42, ws.ExitStatus())
}

func TestGateReportsToWhoeverStarts(t *testing.T) {
	path := t.TempDir() + "/gate"
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Listen(fd, 1))
	p := new(Plan).Add(
		Step{Name: "gate", Do: func(r *Run) error { r.Hold(5, os.NewFile(uintptr(fd), path)); return nil }},
		clone(0),
		Chdir("/", ""),
		Step{Name: "created", Do: func(*Run) error { return nil }, Returns: true},
		Step{Name: "accept", Side: Child, Code: []Instr{
			Call(unix.SYS_ACCEPT4, Slot(5), Int(0), Int(0), Int(unix.SOCK_CLOEXEC)).Into(6), ReportTo(6),
		}},
		Exec([]string{"/no/program"}, nil, ""),
	)
	proc, err := Start(t.Context(), p, Options{})
	require.NoError(t, err)
	c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(c)
	require.NoError(t, unix.Connect(c, &unix.SockaddrUnix{Name: path}))
	b := make([]byte, 64)
	n, err := unix.Read(c, b)
	require.NoError(t, err)
	step, errno, err := Report(b[:n])
	require.NoError(t, err)
	require.Equal(t, "execve /no/program", p.Steps[step].Name)
	require.Equal(t, unix.ENOENT, errno)
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.Equal(t, 125, ws.ExitStatus())
}

func TestKilledChildIsExplained(t *testing.T) {
	p := new(Plan).Add(clone(0), Chdir("/", ""),
		Step{Name: "kill it", Do: func(r *Run) error { return unix.PidfdSendSignal(int(r.PIDFD().Fd()), unix.SIGKILL, nil, 0) }},
		Chdir("/tmp", ""), Exec([]string{"/bin/true"}, nil, ""))
	_, err := Start(t.Context(), p, Options{})
	require.ErrorContains(t, err, "the child was killed by signal SIGKILL")
}

func TestCancelledContextKillsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	p := new(Plan).Add(clone(0), Step{Name: "pause", Side: Child, Code: []Instr{Call(unix.SYS_PPOLL, Int(0), Int(0), Int(0), Int(0), Int(0))}}, Exec([]string{"/bin/true"}, nil, ""))
	_, err := Start(ctx, p, Options{Before: func(_ int, s Step) error {
		if s.Name == "pause" {
			cancel(errors.New("too slow"))
		}
		return nil
	}})
	require.EqualError(t, err, "pause: too slow")
}

func TestTraceAndBefore(t *testing.T) {
	var seen []string
	tr := &Trace{}
	p := new(Plan).Add(clone(0), Chdir("/", ""), Step{Name: "turn", Do: func(*Run) error { return nil }})
	_, _ = output(t, p, "exit 0", Options{Trace: tr, Before: func(_ int, s Step) error { seen = append(seen, s.Name); return nil }})
	var all []string
	for _, s := range tr.Steps {
		all = append(all, s.Name)
		require.False(t, s.Began.IsZero(), s.Name)
		require.GreaterOrEqual(t, s.Took, time.Duration(0), s.Name)
	}
	require.Equal(t, all, seen)
}

func TestMalformedPlansAreRefusedBeforeTheClone(t *testing.T) {
	acted := false
	act := Step{Name: "act", Do: func(*Run) error { acted = true; return nil }}
	for name, code := range map[string][]Instr{
		"no label \"nowhere\" in this step":  {Jump("nowhere")},
		"8 bytes at offset 4 of 8":           {Expect(Buf(8), 4, 0, 0, unix.EINVAL)},
		"label \"a\" stands twice":           {Jump(Next).At("a"), Jump(Next).At("a")},
		"7 arguments, a system call takes 6": {Call(1, Int(1), Int(1), Int(1), Int(1), Int(1), Int(1), Int(1))},
	} {
		_, err := Start(t.Context(), new(Plan).Add(act, clone(0), Step{Name: "bad", Side: Child, Code: code}), Options{})
		require.ErrorContains(t, err, name)
	}
	require.False(t, acted)
}

func BenchmarkLaunch(b *testing.B) {
	for b.Loop() {
		p := new(Plan).Add(clone(isolated), Private(), Exec([]string{"/bin/true"}, nil, ""))
		proc, err := Start(b.Context(), p, Options{})
		if err != nil {
			b.Fatal(err)
		}
		_, _ = proc.Wait()
		_ = proc.Close()
	}
}

func TestBeginSeesThePlanAndLaterTheChild(t *testing.T) {
	var run *Run
	watched := 0
	var pids []int
	silent := Chdir("/", "")
	silent.Silent = true
	p := new(Plan).Add(clone(0), silent, Chdir("/", ""))
	o := Options{
		Begin:  func(q *Plan, r *Run) error { run, watched = r, q.Watched(); return nil },
		Before: func(int, Step) error { pids = append(pids, run.PID()); return nil },
	}
	_, _ = output(t, p, "exit 0", o)
	require.Len(t, pids, watched, "nobody hears of what comes behind a silent step")
	require.Less(t, watched, len(p.Steps))
	require.Zero(t, pids[0])
	require.Positive(t, pids[watched-1])
	_, err := Start(t.Context(), p, Options{Begin: func(*Plan, *Run) error { return unix.EPERM }})
	require.ErrorIs(t, err, unix.EPERM)
}

func TestFinishAddsWhatTheChildDidLater(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	tr := &Trace{}
	p := new(Plan).Add(
		Step{Name: "hold", Do: func(run *Run) error { run.Hold(1, r); return nil }},
		clone(0),
		Step{Name: "turn", Do: func(*Run) error { return nil }, Returns: true},
		Step{Name: "wait", Side: Child, Code: []Instr{Call(unix.SYS_READ, Slot(1), Buf(8), Int(1))}},
		Exec([]string{"/bin/true"}, nil, ""),
	)
	proc, err := Start(t.Context(), p, Options{Trace: tr})
	require.NoError(t, err)
	defer proc.Close()
	require.True(t, tr.Steps[4].Began.IsZero())
	_, err = w.Write([]byte{1})
	require.NoError(t, err)
	_, err = proc.Wait()
	require.NoError(t, err)
	require.NoError(t, tr.Finish())
	require.False(t, tr.Steps[3].Began.IsZero())
	require.False(t, tr.Steps[4].Began.Before(tr.Steps[3].Began))
	require.NoError(t, tr.Finish(), "the second time there is nothing to do")
	var text bytes.Buffer
	require.NoError(t, (&Trace{Steps: []TraceStep{{Step: clone(0)}}}).Print(&text))
	require.Contains(t, text.String(), " 1  parent  -     clone3")
}

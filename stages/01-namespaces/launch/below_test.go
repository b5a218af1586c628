package launch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	. "github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// userNamespace is a new one in which the ids 0 to 999 are 100000 to 100999 of ours.
func userNamespace(t *testing.T) *os.File {
	t.Helper()
	needRoot(t)
	var ns *os.File
	p := new(Plan).Add(
		clone(unix.CLONE_NEWUSER),
		Step{Name: "map", Do: func(r *Run) (err error) {
			for _, file := range []string{"uid_map", "gid_map"} {
				if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", r.PID(), file), []byte("0 100000 1000\n"), 0); err != nil {
					return err
				}
			}
			ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", r.PID()))
			return err
		}},
		Exec([]string{"/bin/true"}, nil, ""),
	)
	proc, err := Start(t.Context(), p, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	_, err = proc.Wait()
	require.NoError(t, errors.Join(err, proc.Close()))
	return ns
}

// below is a plan whose child joins the namespace and makes others there.
func below(ns *os.File, flags uint64, rest ...Step) *Plan {
	return new(Plan).Add(
		Step{Name: "open it", Do: func(r *Run) error {
			f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()))
			if err == nil {
				r.Hold(9, f)
			}
			return err
		}},
		clone(0), Setns(9, unix.CLONE_NEWUSER, "user"), BecomeRoot(), Below(flags, "pid mnt", "clone(2)"),
	).Add(rest...)
}

func TestBelowIsInsideTheJoinedUserNamespace(t *testing.T) {
	ns := userNamespace(t)
	p := below(ns, isolated, Private(), Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "", ""), Hostname("below"),
		Step{Name: "look", Do: func(r *Run) error {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
			if err == nil && !strings.Contains(string(status), fmt.Sprintf("NSpid:\t%d\t1\n", r.PID())) {
				err = fmt.Errorf("process %d is not process 1 of a pid namespace: %s", r.PID(), status)
			}
			return err
		}})
	tr := &Trace{}
	out, ws := output(t, p, `echo $$; hostname; id -u; cat /proc/self/uid_map; stat -Lc %i /proc/self/ns/user; exit 7`, Options{Trace: tr})
	require.Equal(t, 7, ws.ExitStatus())
	info, err := ns.Stat()
	require.NoError(t, err)
	require.Equal(t, []string{"1", "below", "0", "0", "100000", "1000", strconv.FormatUint(inode(info), 10)}, strings.Fields(out))
	for _, s := range tr.Steps {
		require.False(t, s.Began.IsZero(), s.Name)
	}
	require.Empty(t, childrenOf(t, os.Getpid()), "the older child was reaped")
}

// TestBelowFailures: whatever happens around the second clone, no process stays and the cause is told.
func TestBelowFailures(t *testing.T) {
	ns := userNamespace(t)
	broken := errors.New("out of luck")
	kill := Step{Name: "kill it", Do: func(r *Run) error { return unix.PidfdSendSignal(int(r.PIDFD().Fd()), unix.SIGKILL, nil, 0) }}
	exec := Exec([]string{"/bin/true"}, nil, "")
	for want, p := range map[string]*Plan{
		"clone3 pid mnt: invalid argument":                  below(ns, unix.CLONE_NEWNS|unix.CLONE_FS, exec),
		"mount proc on /no/such: no such file or directory": below(ns, isolated, Mount("proc", "/no/such", "proc", 0, "", ""), exec),
		"three: out of luck":                                below(ns, isolated, Step{Name: "three", Do: func(*Run) error { return broken }}, exec),
		"the child was killed by signal SIGKILL":            below(ns, isolated, Chdir("/", ""), kill, Chdir("/tmp", ""), exec),
		"step 5, below: the younger child is born where the older one is: a cgroup belongs to the first clone": new(Plan).Add(clone(0), Chdir("/", ""), Chdir("/", ""), Chdir("/", ""),
			Step{Name: "below", Side: Child, Clone: &Clone{Cgroup: 3}}, exec),
		"step 2, clone3: a plan makes one child": new(Plan).Add(clone(0), clone(0), exec),
	} {
		_, err := Start(t.Context(), p, Options{})
		require.ErrorContains(t, err, want)
		require.Empty(t, childrenOf(t, os.Getpid()), want)
	}
}

// TestBelowCancelled cancels the launch right before the second clone, when only the older child can be met.
func TestBelowCancelled(t *testing.T) {
	ns := userNamespace(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var seen []string
	p := below(ns, isolated, Chdir("/", ""), Exec([]string{"/bin/true"}, nil, ""))
	_, err := Start(ctx, p, Options{Before: func(_ int, s Step) error {
		seen = append(seen, s.Name)
		if s.Name == "clone3 pid mnt" {
			cancel(errors.New("enough"))
		}
		return nil
	}})
	require.ErrorContains(t, err, "enough")
	require.Contains(t, seen, "clone3 pid mnt")
	require.Empty(t, childrenOf(t, os.Getpid()))
}

func TestBelowIsStepped(t *testing.T) {
	ns := userNamespace(t)
	var seen []string
	p := below(ns, isolated, Chdir("/", ""))
	_, ws := output(t, p, "exit 0", Options{Before: func(_ int, s Step) error { seen = append(seen, s.Name); return nil }})
	require.Zero(t, ws.ExitStatus())
	require.Equal(t, []string{"open the pipe", "open it", "clone3", "join user", "become user 0, group 0", "clone3 pid mnt", "chdir to /", "connect the pipe", "execve sh"}, seen)
}

func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	var all []string
	for _, list := range lists {
		b, _ := os.ReadFile(list) // a thread that has ended has none
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}

func inode(info os.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

package initd

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is the program itself when a test runs it, so that coverage and the code under test are this build's.
func TestMain(m *testing.M) {
	if os.Getenv("INITD_AS_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	_ = os.Unsetenv("INITD_AS_PROGRAM")
	o, err := Parse(os.Args[1:], os.Getenv)
	if err != nil {
		Say(err.Error())
		os.Exit(1)
	}
	os.Exit(Run(o))
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "INITD_AS_PROGRAM=1")
	return cmd
}

// asProcess1 runs it in a process namespace of its own, as a container does.
func asProcess1(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a process namespace of its own")
	}
	cmd := program(args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return cmd
}

func TestExitCodes(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o644))
	rows := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"zero", []string{"--", "true"}, 0, ""},
		{"the child's", []string{"--", "sh", "-c", "exit 7"}, 7, ""},
		{"killed", []string{"--", "sh", "-c", "kill -9 $$"}, 137, ""},
		{"terminated", []string{"--", "sh", "-c", "kill -TERM $$"}, 143, ""},
		{"expected", []string{"-e", "143", "--", "sh", "-c", "kill -TERM $$"}, 0, ""},
		{"missing", []string{"--", "no-such-program"}, 127, "slipway-init: exec no-such-program: no such file or directory\n"},
		{"missing path", []string{"--", "/no/such"}, 127, "slipway-init: exec /no/such: no such file or directory\n"},
		{"not executable", []string{"--", plain}, 126, "slipway-init: exec " + plain + ": permission denied\n"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cmd := asProcess1(t, row.args...)
			var errs strings.Builder
			cmd.Stderr = &errs
			_ = cmd.Run()
			require.Equal(t, row.code, cmd.ProcessState.ExitCode(), errs.String())
			require.Equal(t, row.says, errs.String())
		})
	}
}

// TestOrphansAreCollected: a hundred orphans, and no zombie is left after them.
func TestOrphansAreCollected(t *testing.T) {
	script := `mount -t proc proc /proc
		for i in $(seq 100); do (sleep 0.05 &) ; done
		sleep 0.5
		grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l`
	cmd := asProcess1(t, "--", "sh", "-c", "mount --make-rprivate / && "+script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "0\n", string(out))
}

// TestSignals: process 1 has no default actions, so what kills the child came through us.
func TestSignals(t *testing.T) {
	rows := []struct {
		name   string
		signal syscall.Signal
	}{{"TERM", syscall.SIGTERM}, {"INT", syscall.SIGINT}, {"HUP", syscall.SIGHUP}, {"USR1", syscall.SIGUSR1}, {"WINCH", syscall.SIGWINCH}, {"real time", syscall.Signal(40)}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			n := int(row.signal)
			cmd := asProcess1(t, "--", "bash", "-c", fmt.Sprintf(`trap 'echo got; exit 3' %d; echo ready; while :; do sleep 0.02; done`, n))
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(out)
			require.True(t, lines.Scan())
			require.NoError(t, cmd.Process.Signal(row.signal))
			require.True(t, lines.Scan())
			require.Equal(t, "got", lines.Text())
			_ = cmd.Wait()
			require.Equal(t, 3, cmd.ProcessState.ExitCode())
		})
	}
}

// TestGroup: with -g a shell's child hears the signal too.
func TestGroup(t *testing.T) {
	for _, flag := range []string{"-g", "-w"} {
		mark := filepath.Join(t.TempDir(), "mark")
		cmd := asProcess1(t, flag, "--", "bash", "-c",
			fmt.Sprintf(`bash -c 'trap "echo heard >%s; exit" USR1; touch %s.ready; while :; do sleep 0.02; done' & trap : USR1; while kill -0 $!; do wait; done`, mark, mark))
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { _, err := os.Stat(mark + ".ready"); return err == nil }, 5*time.Second, 5*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(syscall.SIGUSR1))
		heard := func() bool { _, err := os.Stat(mark); return err == nil }
		if flag == "-g" {
			require.Eventually(t, heard, 5*time.Second, 5*time.Millisecond)
		} else {
			time.Sleep(200 * time.Millisecond)
			require.False(t, heard(), "without -g the child alone is told")
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}

// TestSubreaper: away from process 1, -s makes the orphans ours.
func TestSubreaper(t *testing.T) {
	cmd := program("-s", "-w", "--", "sh", "-c", "(sh -c 'sleep 0.1' &); sleep 0.4")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "collected an orphan")
}

// TestSize: the program is mounted into every container that asks for it.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway-init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "../cmd/slipway-init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(1_500_000), "a heavy package slipped in: go list -deps ./cmd/slipway-init")
	version, err := exec.Command(path, "--version").Output()
	require.NoError(t, err)
	require.Regexp(t, `^slipway-init version \d+\.\d+\.\d+\n$`, string(version))
}

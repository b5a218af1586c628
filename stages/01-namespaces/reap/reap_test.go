package reap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/01-namespaces/todo"
)

const helper = "REAP_TEST_HELPER"

// TestMain makes this program a helper that is a reaper, as process 1 is, without being it.
func TestMain(m *testing.M) {
	script := os.Getenv(helper)
	if script == "" {
		shield.Main(m)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
	ws, err := Run("/bin/sh", []string{"sh", "-c", script}, os.Environ())
	if _, stub := todo.Of(err); stub {
		os.Exit(98)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
	if ws.Signaled() {
		os.Exit(128 + int(ws.Signal()))
	}
	os.Exit(ws.ExitStatus())
}

func start(t *testing.T, script string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), helper+"="+script)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // the helper and what it started
		_ = c.Wait()
	})
	return c, bufio.NewReader(out)
}

// children counts a process's children by their state.
func children(pid int) (zombies, alive []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		b, err := os.ReadFile(file)
		_, rest, ok := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if err != nil || !ok || len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if fields[0] == "Z" {
			zombies = append(zombies, child)
		} else {
			alive = append(alive, child)
		}
	}
	return zombies, alive
}

const orphans = 8

// TestInitReaps is the test of ns.init-reaps: eight orphans die while the reaper is stopped, so that their
// signals become one.
func TestInitReaps(t *testing.T) {
	c, out := start(t, `i=0; while [ $i -lt 8 ]; do i=$((i+1)); (sleep 60 & echo $!); done; echo ready; exec sleep 60`)
	var pids []int
	for {
		line, err := out.ReadString('\n')
		if c.ProcessState == nil && err != nil {
			_ = c.Wait()
			if c.ProcessState.ExitCode() == 98 {
				teach.Begun(t, todo.Exercise("ns.init-reaps"))
			}
		}
		require.NoError(t, err)
		if strings.TrimSpace(line) == "ready" {
			break
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	require.Len(t, pids, orphans)
	require.NoError(t, c.Process.Signal(unix.SIGSTOP))
	for _, pid := range pids {
		require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	}
	require.Eventually(t, func() bool { z, _ := children(c.Process.Pid); return len(z) >= orphans }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, c.Process.Signal(unix.SIGCONT))
	var zombies []int
	for range 200 {
		if zombies, _ = children(c.Process.Pid); len(zombies) == 0 {
			mustLive(t, c)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	teach.Fail(t, teach.Diagnosis{
		Exercise: "ns.init-reaps", Code: "NS-INIT-1", Title: "process 1 reaps what others leave behind",
		Did:   "started 8 orphans below your process 1; stopped it; killed them all; let it go on",
		Saw:   fmt.Sprintf("after 2 s: %d of 8 are in state Z, children of %d", len(zombies), c.Process.Pid),
		Want:  "0 in state Z",
		Means: "a dead child stays in the process table until its parent has asked for its status. Orphans become children of process 1, so it has to ask for any child, not just its own; and signals of one kind that arrive together become one, so it has to ask until nobody is left.",
		Try:   "grep -l 'State:.Z' /proc/[0-9]*/status",
		Read:  "docs/01-namespaces.md#init    man 2 wait4",
	})
}

// mustLive: a reaper that has ended has no zombies either.
func mustLive(t *testing.T, c *exec.Cmd) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	require.NoError(t, err)
	if !strings.Contains(string(b), ") Z ") {
		return
	}
	_ = c.Wait()
	if c.ProcessState.ExitCode() == 98 {
		teach.Begun(t, todo.Exercise("ns.init-reaps"))
	}
	t.Fatalf("the reaper has ended, with status %d, though its program lives", c.ProcessState.ExitCode())
}

func TestExitStatusAndSignals(t *testing.T) {
	for script, want := range map[string]int{"exit 7": 7, "kill -TERM $$": 143} {
		c, _ := start(t, script)
		_ = c.Wait()
		if c.ProcessState.ExitCode() == 98 {
			teach.Begun(t, todo.Exercise("ns.init-reaps"))
		}
		require.Equal(t, want, c.ProcessState.ExitCode(), script)
	}
	c, out := start(t, `trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done`)
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, c.Process.Signal(unix.SIGUSR1))
	_ = c.Wait()
	require.Equal(t, 9, c.ProcessState.ExitCode(), "the signal reached the program")
}

package reap

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// TestSubreaper is the exercise shim.subreaper: an orphan comes to the shim, and is waited for.
func TestSubreaper(t *testing.T) {
	// The test process may be a subreaper from an earlier test; each run starts from the kernel's default.
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0))
	r, err := New()
	teach.Begun(t, err)
	require.NoError(t, err)
	defer r.Close()

	done := r.Launching()
	pid := orphan(t, "exec sleep 60") // a shell starts it and leaves, as a runtime does
	done()
	parent := status(pid, "PPid")
	if parent != fmt.Sprint(os.Getpid()) {
		require.NoError(t, unix.Kill(pid, unix.SIGKILL))
		teach.Fail(t, teach.Diagnosis{
			Exercise: "shim.subreaper", Title: "the shim learns the exit code of an orphan", Code: "SHIM-REAP-1",
			Did:  fmt.Sprintf("a runtime (sh) started sleep as pid %d and exited; then looked at /proc/%d/status", pid, pid),
			Saw:  fmt.Sprintf("parent of sleep: %s; your shim is pid %d", parent, os.Getpid()),
			Want: fmt.Sprintf("parent of sleep: %d", os.Getpid()),
			Means: "when a parent dies, the kernel hands its children to the nearest living ancestor that asked to be a " +
				"subreaper. Nobody on this side asked, so the orphan went past the shim, and with it the only wait().",
			Try:  "setsid sh -c 'sh -c \"sleep 9 & :\"; ps -o pid,ppid,comm --ppid 1 | grep sleep'",
			Read: "docs/05-shim.md#orphans, man 2 prctl (PR_SET_CHILD_SUBREAPER)",
		})
	}

	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	for range 200 {
		if status(pid, "State") == "" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	state := status(pid, "State")
	_, _ = unix.Wait4(pid, nil, 0, nil)
	teach.Fail(t, teach.Diagnosis{
		Exercise: "shim.subreaper", Title: "the shim learns the exit code of an orphan", Code: "SHIM-REAP-2",
		Did:  fmt.Sprintf("killed the orphan, pid %d, which is your shim's child, and waited a second", pid),
		Saw:  fmt.Sprintf("State: %s", state),
		Want: fmt.Sprintf("no /proc/%d: somebody has waited for it", pid),
		Means: "the orphan is dead and its exit code still waits in the process table: you are a subreaper who never " +
			"waits. The kernel says with SIGCHLD when there is something to collect.",
		Try:  "ps -o pid,ppid,stat,comm; the letter Z is a zombie",
		Read: "docs/05-shim.md#orphans, man 2 wait, NOTES",
	})
}

var statusLine = regexp.MustCompile(`(?m)^(\w+):\t(.*)$`)

// status is one field of /proc/PID/status; empty when there is no such process.
func status(pid int, field string) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	for _, m := range statusLine.FindAllStringSubmatch(string(data), -1) {
		if m[1] == field {
			return strings.TrimSpace(m[2])
		}
	}
	return ""
}

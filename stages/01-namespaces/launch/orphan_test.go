package launch_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	. "github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// TestChildEndsWithAParentThatIsKilled runs itself as the parent, and kills it
// while the child waits for its turn.
func TestChildEndsWithAParentThatIsKilled(t *testing.T) {
	if os.Getenv("LAUNCH_PARENT") != "" {
		p := new(Plan).Add(clone(0),
			Step{Name: "stay", Do: func(r *Run) error { fmt.Println("child", r.PID()); select {} }},
			Exec([]string{"/bin/sleep", "60"}, nil, ""))
		_, _ = Start(t.Context(), p, Options{})
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestChildEndsWithAParentThatIsKilled$")
	cmd.Env = append(os.Environ(), "LAUNCH_PARENT=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var child int
	for lines := bufio.NewScanner(out); child == 0 && lines.Scan(); {
		if _, pid, ok := strings.Cut(lines.Text(), "child "); ok {
			child, err = strconv.Atoi(pid)
			require.NoError(t, err)
		}
	}
	require.NotZero(t, child)
	fd, err := unix.PidfdOpen(child, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int((5 * time.Second).Milliseconds()))
	require.NoError(t, err)
	require.Equal(t, 1, n, "process %d still waits for a parent that is dead", child)
}

func TestStepsBehindReturnsAreNotWatched(t *testing.T) {
	var seen []string
	p := new(Plan).Add(clone(0), Chdir("/", ""),
		Step{Name: "created", Do: func(*Run) error { return nil }, Returns: true},
		Chdir("/tmp", ""), Exec([]string{"/bin/true"}, nil, ""))
	proc, err := Start(t.Context(), p, Options{Before: func(_ int, s Step) error { seen = append(seen, s.Name); return nil }})
	require.NoError(t, err)
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.Zero(t, ws.ExitStatus())
	require.Equal(t, []string{"clone3", "chdir to /", "created"}, seen)
}

package reap

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// orphan starts a shell that leaves a child behind and exits, as a runtime does, and returns the child's pid.
func orphan(t *testing.T, script string) int {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", "("+script+") >/dev/null 2>&1 & echo $!").Output()
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	return pid
}

func TestExitOfAnOrphan(t *testing.T) {
	r, err := New()
	require.NoError(t, err)
	defer r.Close()
	for _, row := range []struct {
		name, script string
		wait         time.Duration // before Hold
		want         int
	}{
		{"ends later", "sleep 0.1; exit 7", 0, 7},
		{"ended before it was held", "sleep 0.05; exit 9", 200 * time.Millisecond, 9},
		{"killed", "true", 0, 137},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := r.Launching()
			pid := orphan(t, row.script)
			if row.want == 137 {
				pid = orphan(t, "exec sleep 60")
			}
			time.Sleep(row.wait)
			p, err := r.Hold(pid)
			done()
			require.NoError(t, err)
			if row.want == 137 {
				require.NoError(t, p.Signal(unix.SIGKILL))
			}
			require.Equal(t, row.want, p.Exit().Status)
			require.ErrorIs(t, p.Signal(unix.SIGTERM), os.ErrProcessDone)
			p.Close()
		})
	}
}

func TestUnheldOrphansAreReaped(t *testing.T) {
	r, err := New()
	require.NoError(t, err)
	defer r.Close()
	done := r.Launching()
	pid := orphan(t, "exit 0")
	done()
	require.Eventually(t, func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(pid))
		return os.IsNotExist(err)
	}, 2*time.Second, 5*time.Millisecond, "a zombie was left")
}

func TestAStrangerCannotBeHeld(t *testing.T) {
	r, err := New()
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Hold(1)
	require.ErrorContains(t, err, "not a child")
}

func TestManyShortLives(t *testing.T) {
	r, err := New()
	require.NoError(t, err)
	defer r.Close()
	for i := range 200 {
		done := r.Launching()
		cmd := exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(i%3))
		require.NoError(t, cmd.Start())
		p, err := r.Hold(cmd.Process.Pid)
		done()
		require.NoError(t, err)
		require.Equal(t, i%3, p.Exit().Status)
		p.Close()
		require.NoError(t, cmd.Process.Release())
	}
}

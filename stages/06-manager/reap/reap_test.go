package reap

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReaper: a command's exit status reaches who waits for it, while orphans
// that fall to us at the same time are reaped.
func TestReaper(t *testing.T) {
	r, err := New()
	require.NoError(t, err)
	go r.Serve(t.Context())
	for i := range 20 {
		out := t.TempDir() + "/pid"
		// The shell leaves an orphan behind that ends a moment later, and exits with i.
		cmd := exec.Command("sh", "-c", "sleep 0.05 & echo $! >"+out+"; exit "+strconv.Itoa(i))
		err := r.Run(cmd)
		require.Equal(t, i, cmd.ProcessState.ExitCode(), "%v", err)
		raw, err := os.ReadFile(out)
		require.NoError(t, err)
		orphan := strings.TrimSpace(string(raw))
		require.Eventually(t, func() bool {
			_, err := os.Stat("/proc/" + orphan)
			return os.IsNotExist(err)
		}, 5*time.Second, 5*time.Millisecond, "orphan %s stays a zombie", orphan)
	}
}

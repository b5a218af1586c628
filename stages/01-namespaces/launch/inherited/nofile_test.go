package inherited_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch/inherited"
)

func TestNofileIsTheSoftLimitThatTheParentGave(t *testing.T) {
	if os.Getenv("NOFILE_CHILD") != "" {
		var now syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now))
		require.Greater(t, now.Cur, inherited.Nofile.Cur, "Go has raised the soft limit")
		require.Equal(t, uint64(100), inherited.Nofile.Cur)
		return
	}
	cmd := exec.Command("sh", "-c", `ulimit -S -n 100; exec "$0" -test.run TestNofile`, os.Args[0])
	cmd.Env = append(os.Environ(), "NOFILE_CHILD=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

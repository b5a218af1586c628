package sidecar

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

func start(t *testing.T, script string) (*Sidecar, error) {
	t.Helper()
	r, err := reap.New()
	require.NoError(t, err)
	t.Cleanup(r.Close)
	s, err := Start(Spec{Args: []string{"/bin/sh", "-c", script}}, r, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(s.Stop)
	}
	return s, err
}

func TestItsWordsAreTheError(t *testing.T) {
	for _, row := range []struct{ script, want string }{
		{`printf '1\nport 80 is taken\n' >&3`, "sidecar sh: port 80 is taken"},
		{`exit 3`, "sidecar sh: ended without reporting ready"},
	} {
		_, err := start(t, row.script)
		require.EqualError(t, err, row.want)
	}
}

func pidIn(t *testing.T, file string, not int) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		data, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return pid > 0 && pid != not
	}, time.Second, 5*time.Millisecond, "no new sidecar within a second")
	return pid
}

func TestRestartAndEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s, err := start(t, `echo $$ >`+file+`; printf '0\n' >&3; exec 3>&-; exec sleep 60`)
	require.NoError(t, err)
	first := pidIn(t, file, 0)
	require.NoError(t, unix.Kill(first, unix.SIGKILL))
	second := pidIn(t, file, first)
	s.Stop()
	require.NoDirExists(t, "/proc/"+strconv.Itoa(second))
}

func FuzzParseSpec(f *testing.F) {
	f.Add(`{"args":["/bin/x","-y"]}`)
	f.Fuzz(func(t *testing.T, value string) {
		s, err := ParseSpec(value)
		if err == nil {
			require.True(t, filepath.IsAbs(s.Args[0]))
		}
	})
}

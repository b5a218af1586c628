package entry_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// found is what the probe tells.
type found struct {
	Args, Env     []string
	Procs, Slack  int
	Ran, ReadOnly bool
}

func TestWhatGoFinds(t *testing.T) {
	const slack = 77777 // ns
	plain, begun := build(t), build(t, "-ldflags=-E github.com/slipway-engine/slipway/stages/04-ocispec/entry.entry")
	runtime.LockOSThread() // the slack is the thread's, and not given back: so the thread ends with the test
	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0))
	env := []string{"A=1", "PATH=" + os.Getenv("PATH"), "Z=26"}
	for _, args := range [][]string{{}, {"one"}, {"one", "", "three words here"}, {"run", "x"}, {"--root", "/r", "create", "x"}, {"execute"}} {
		require.Equal(t, found{Args: args, Env: env, Procs: runtime.GOMAXPROCS(0)}, probe(t, plain, env, args...))
		if runtime.GOARCH != "amd64" {
			continue // there is no entry point of our own
		}
		starts := len(args) > 1 && (args[0] == "run" || args[0] == "--root") && os.Geteuid() == 0
		want := found{Args: args, Env: append([]string{"GOMAXPROCS=1"}, env...), Procs: 1, Slack: slack, Ran: true, ReadOnly: starts}
		require.Equal(t, want, probe(t, begun, env, args...))
	}
}

// build makes the probe, with options.
func build(t *testing.T, options ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "probe")
	c := exec.Command("go", append(append([]string{"build", "-o", name}, options...), "./testdata/probe")...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return name
}

func probe(t *testing.T, program string, env []string, args ...string) (f found) {
	t.Helper()
	c := exec.Command(program, args...)
	c.Env = env
	out, err := c.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &f))
	return f
}

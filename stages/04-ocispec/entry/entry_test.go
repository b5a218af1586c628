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
	Args, Env                []string
	Procs, Slack, Child, Own int
	First                    bool
}

func TestWhatGoFindsAndWhatChildrenGet(t *testing.T) {
	const given = 77777 // ns of timer slack
	plain, begun := build(t), build(t, "-E", "github.com/slipway-engine/slipway/stages/04-ocispec/entry.entry")
	runtime.LockOSThread() // the slack is the thread's, and not given back: so the thread ends with the test
	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, given, 0, 0, 0))
	env := []string{"A=1", "PATH=" + os.Getenv("PATH"), "Z=26"}
	for _, args := range [][]string{nil, {"one"}, {"one", "", "three words here"}} {
		for program, procs := range map[string]int{plain: runtime.GOMAXPROCS(0), begun: 1} {
			if program == begun && runtime.GOARCH != "amd64" {
				continue // there is no entry point of our own
			}
			got := probe(t, program, env, args...)
			require.ElementsMatch(t, args, got.Args)
			require.Equal(t, env, got.Env)
			require.Equal(t, procs, got.Procs, program)
			require.Equal(t, []int{given, given, given}, []int{got.Slack, got.Child, got.Own}, program)
			require.True(t, program == plain || got.First, "the main goroutine stays on the first thread")
		}
	}
}

// build makes the probe, with options for the linker.
func build(t *testing.T, link ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "probe")
	args := []string{"build", "-o", name}
	if len(link) > 0 {
		args = append(args, "-ldflags="+link[0]+" "+link[1])
	}
	c := exec.Command("go", append(args, "./testdata/probe")...)
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

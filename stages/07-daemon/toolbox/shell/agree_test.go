package shell_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// verdict is what a script shows of itself: output, status, and nothing of error messages, which every shell words differently.
type verdict struct {
	out  string
	code int
}

// TestAgreesWithOtherShells runs the same scripts here and in dash and busybox: ours must do what at least one of them does.
func TestAgreesWithOtherShells(t *testing.T) {
	var others [][]string
	for _, argv := range [][]string{{"dash"}, {"busybox", "sh"}} {
		if path, err := exec.LookPath(argv[0]); err == nil {
			others = append(others, append([]string{path}, argv[1:]...))
		}
	}
	if len(others) == 0 {
		t.Skip("needs dash or busybox")
	}
	text, err := os.ReadFile("testdata/agree.txt")
	require.NoError(t, err)
	own := bin(t)
	for script := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n%%\n") {
		t.Run(strings.SplitN(script, "\n", 2)[0], func(t *testing.T) {
			t.Parallel()
			ours := judge(t, []string{own + "/sh"}, own, script)
			var theirs []verdict
			for _, argv := range others {
				theirs = append(theirs, judge(t, argv, os.Getenv("PATH"), script))
			}
			require.Contains(t, theirs, ours)
		})
	}
}

func judge(t *testing.T, argv []string, path, script string) verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], "-c", script)...)
	cmd.Args[0] = "sh"
	if len(argv) > 1 {
		cmd.Args[0] = "busybox"
	}
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + path, "HOME=/root"}
	out, err := cmd.Output()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	return verdict{strings.ReplaceAll(string(out), cmd.Dir, "DIR"), cmd.ProcessState.ExitCode()}
}

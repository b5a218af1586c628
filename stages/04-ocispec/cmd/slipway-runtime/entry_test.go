package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/quickjson"
)

// What the entry point changes for Go (package entry) reaches no container, no process of exec, and no hook.
func TestEverybodyGetsTheTimerSlackThatWeWereGiven(t *testing.T) {
	if _, err := os.Stat("/bin/busybox"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and a static /bin/busybox")
	}
	dir := t.TempDir()
	program, b, seen, id := filepath.Join(dir, "rt"), filepath.Join(dir, "b"), filepath.Join(dir, "seen"), fmt.Sprint("slack-", os.Getpid())
	build := exec.Command("go", "build", "-ldflags=-E github.com/slipway-engine/slipway/stages/04-ocispec/entry.entry", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, bundle(b))
	look := "cat /proc/self/timerslack_ns; env | grep GOMAXPROCS"
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/busybox", Args: []string{"sh", "-c", "{ echo " + name + "; " + look + "; } >>" + seen + "; true"}, Env: []string{"PATH=/bin"}}}
	}
	text, err := os.ReadFile(filepath.Join(b, "config.json"))
	require.NoError(t, err)
	s := new(specs.Spec)
	require.NoError(t, quickjson.Unmarshal(text, s))
	s.Process.Args, s.Process.Terminal = []string{"/bin/sh", "-c", look + "; sleep 1000"}, false
	s.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime"), Poststart: hook("poststart"), Poststop: hook("poststop")}
	text, err = quickjson.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b, "config.json"), text, 0o644))

	const slack = 77777    // ns
	runtime.LockOSThread() // the slack is the thread's, and not given back: so the thread ends with the test
	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0))
	rt := func(args ...string) string {
		out, err := exec.Command(program, append([]string{"--root", filepath.Join(dir, "root")}, args...)...).Output()
		require.NoError(t, err, "%s", args)
		return string(out)
	}
	defer func() { _ = exec.Command(program, "--root", filepath.Join(dir, "root"), "delete", "-f", id).Run() }()
	file, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	run := exec.Command(program, "--root", filepath.Join(dir, "root"), "run", "-d", "-b", b, id)
	run.Stdout = file // not a pipe: the container keeps it
	require.NoError(t, run.Run())
	require.Equal(t, "77777\n", rt("exec", id, "/bin/sh", "-c", look+"; true"))
	rt("delete", "-f", id)
	out, err = os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Equal(t, "77777\n", string(out), "the container")
	out, err = os.ReadFile(seen)
	require.NoError(t, err)
	require.Equal(t, []string{"createRuntime", "77777", "poststart", "77777", "poststop", "77777"}, strings.Fields(string(out)))
}

package hooks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/hooks"
)

const (
	hookTitle = "a hook gets what config.json says, and leaves nothing behind"
	hookRead  = "docs/04-ocispec.md#hooks    runtime-spec config.md, POSIX-platform Hooks"
)

// TestHookCommand is the exercise oci.hooks.
func TestHookCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SECRET_OF_THE_RUNTIME", "token")
	script := filepath.Join(dir, "probe")
	text := "#!/bin/sh\necho \"$# arguments: $*\" >args\necho \"$SECRET_OF_THE_RUNTIME\" >secret\ncat >state\n"
	require.NoError(t, os.WriteFile(script, []byte(text), 0o755))
	err := hooks.Run(t.Context(), "prestart", []specs.Hook{{Path: script, Args: []string{"probe", "one", "two"}}}, specs.State{ID: "web", Bundle: dir})
	teach.Begun(t, err)
	require.NoError(t, err)
	said := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err, "the hook's working directory is the bundle")
		return strings.TrimSpace(string(b))
	}
	if got := said("args"); got != "2 arguments: one two" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.hooks", Code: "OCI-HOOK-1", Title: hookTitle,
			Did:   `ran a hook with "args": ["probe", "one", "two"], a script that counts what it is given`,
			Saw:   got,
			Want:  "2 arguments: one two",
			Means: "args is the whole vector of execve(2), and its first element is the program's own name. A function that takes a path and then the arguments adds that name itself, so here it came twice, and every argument is one place too far.",
			Try:   "sh -c 'echo $0 / $1 / $2' probe one two",
			Read:  hookRead,
		})
	}
	if got := said("secret"); got != "" {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.hooks", Code: "OCI-HOOK-2", Title: hookTitle,
			Did:   "set SECRET_OF_THE_RUNTIME in this process, and ran a hook that has no \"env\"",
			Saw:   "the hook knows SECRET_OF_THE_RUNTIME=" + got,
			Want:  "an empty environment",
			Means: "no environment in config.json means none. In os/exec a nil slice means the opposite: take the caller's. A runtime's environment holds sockets and secrets of the engine above it, and hooks are other people's programs.",
			Try:   "go doc os/exec.Cmd.Env",
			Read:  hookRead,
		})
	}
	require.JSONEq(t, fmt.Sprintf(`{"ociVersion":"","id":"web","status":"","bundle":%q}`, dir), said("state"))
	leavesNothing(t)
}

// leavesNothing lets a hook run into its timeout while a child of it sleeps.
func leavesNothing(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	h := shell("sleep 60 & echo $! >" + dir + "/pid; wait")
	h.Timeout = new(1)
	require.Error(t, hooks.Run(t.Context(), "poststart", []specs.Hook{h}, specs.State{Bundle: dir}))
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	for end := time.Now().Add(2 * time.Second); runs(t, pid) && time.Now().Before(end); { // a killed process needs a moment to die
		time.Sleep(time.Millisecond)
	}
	if !runs(t, pid) {
		return
	}
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	teach.Fail(t, teach.Diagnosis{
		Exercise: "oci.hooks", Code: "OCI-HOOK-3", Title: hookTitle,
		Did:   "ran a hook with a timeout of 1 s that starts `sleep 60` and waits for it",
		Saw:   fmt.Sprintf("the hook is killed, and its sleep, process %d, goes on", pid),
		Want:  "nobody of the hook is left",
		Means: "a signal goes to one process. Its children get a new parent and live on, with a hand on whatever they had open. A signal to a negative number goes to all of a process group, if the hook leads one of its own; in ours it would hit us as well.",
		Try:   "setsid sh -c 'sleep 60 & wait' & and then: ps -eo pid,pgid,args, kill -KILL -- -PGID",
		Read:  hookRead + "; man 2 setpgid, man 2 kill",
	})
}

// runs tells whether a process is there and no zombie.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(string(b), ") ")
	require.True(t, found)
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

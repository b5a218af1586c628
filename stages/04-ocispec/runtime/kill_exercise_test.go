package runtime_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

const (
	killTitle = "a signal reaches whom it is meant for, and nobody else"
	killRead  = "docs/04-ocispec.md#kill    runtime-spec runtime.md, Kill; man 2 pidfd_open"
)

// TestKill is the exercise oci.kill. Its containers share the host's pid namespace, so that they can outlive their first process.
func TestKill(t *testing.T) {
	p := newPlace(t)
	script := `trap 'echo got >/out/got' TERM; sleep 1000 & echo $! >/out/child.new; mv /out/child.new /out/child; while :; do sleep 0.02; done`
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, script, hostPIDs)})
	teach.Begun(t, err)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, p.Delete(t.Context(), "c", true))
		_, _ = proc.Wait()
		require.NoError(t, proc.Close())
	}()
	err = p.Start(t.Context(), "c")
	teach.Begun(t, err)
	require.NoError(t, err)
	child, err := strconv.Atoi(p.wait(t, "child"))
	require.NoError(t, err)

	err = p.Kill(t.Context(), "c", unix.SIGTERM, false)
	teach.Begun(t, err)
	require.NoError(t, err)
	p.wait(t, "got")
	time.Sleep(100 * time.Millisecond) // what must not happen needs time not to happen
	if gone(child) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.kill", Code: "OCI-KILL-3", Title: killTitle,
			Did:   "sent SIGTERM, without --all, to a container whose first process catches it, and which has a child",
			Saw:   fmt.Sprintf("the child, process %d, is dead as well", child),
			Want:  "the first process has got the signal, and nobody else",
			Means: "SIGTERM asks the first process to end its service in good order: finish requests, tell its workers, flush. Workers that were shot meanwhile cannot be told. Only --all, and the one signal that nobody can catch, are for everybody.",
			Try:   "slipway-runtime kill ID TERM, then slipway-runtime ps ID",
			Read:  killRead,
		})
	}
	p.killsAll(t, child)
	p.strangerLives(t)
}

func hostPIDs(s *specs.Spec) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.PIDNamespace })
}

// killsAll expects of SIGKILL that nobody of the container is left.
func (p *place) killsAll(t *testing.T, child int) {
	t.Helper()
	require.NoError(t, p.Kill(t.Context(), "c", unix.SIGKILL, false))
	require.Eventually(t, func() bool { return p.status(t) == lifecycle.Stopped }, 10*time.Second, time.Millisecond)
	for end := time.Now().Add(time.Second); !gone(child) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if gone(child) {
		return
	}
	teach.Fail(t, teach.Diagnosis{
		Exercise: "oci.kill", Code: "OCI-KILL-2", Title: killTitle,
		Did:   "sent SIGKILL to a container that shares the host's pid namespace; its first process has a child",
		Saw:   fmt.Sprintf("the container is stopped, and its child, process %d, sleeps on", child),
		Want:  "nobody of it is left",
		Means: "in a pid namespace of its own a container dies with its first process: the kernel sees to that. Without one the others are ordinary processes that get a new parent. What holds them together is their cgroup, and the record says which kind of container it is.",
		Try:   "slipway-runtime kill ID KILL, then: cat /sys/fs/cgroup/*/slipway/ID/cgroup.procs",
		Read:  killRead + "; man 7 pid_namespaces",
	})
}

// strangerLives gives a process that has nothing to do with the container the number that the record has.
func (p *place) strangerLives(t *testing.T) {
	t.Helper()
	stranger := exec.Command("/bin/busybox", "sleep", "1000")
	require.NoError(t, stranger.Start())
	defer func() {
		_ = stranger.Process.Kill() // it may be dead already: that is what is found out
		_ = stranger.Wait()
	}()
	path := filepath.Join(p.dir, "c", "state.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var r state.Record
	require.NoError(t, json.Unmarshal(text, &r))
	was := r.Process.PID
	r.Process.PID, r.PIDNS = stranger.Process.Pid, true
	changed, err := json.Marshal(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, changed, 0o600))

	err = p.Kill(t.Context(), "c", unix.SIGTERM, false)
	time.Sleep(50 * time.Millisecond)
	if gone(stranger.Process.Pid) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.kill", Code: "OCI-KILL-1", Title: killTitle,
			Did:   fmt.Sprintf("killed a stopped container. Its record says process %d, started at tick %d; a sleep of mine has that number, and was started later", r.Process.PID, r.Process.StartTime),
			Saw:   "my sleep is dead",
			Want:  "an error, \"container not running\", and my sleep sleeps",
			Means: fmt.Sprintf("a process number is used again when its owner is gone (the container's was %d). The record also has the start time, and no two processes share both. Check what may be killed at all, then hold the process by a descriptor before you look at it: what is behind a pidfd cannot change.", was),
			Try:   "cat /proc/sys/kernel/pid_max: so many processes later the numbers begin again",
			Read:  killRead,
		})
	}
	require.EqualError(t, err, "container not running")
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// wait returns what a file in /out holds, once it is there.
func (p *place) wait(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(p.out, name)
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 10*time.Second, time.Millisecond, "the program writes /out/"+name)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

// gone tells whether a process is dead; a zombie is.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

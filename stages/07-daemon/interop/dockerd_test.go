//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// program is one of ours.
func program(name string) string { return filepath.Join(os.Getenv("SLIPWAY_INTEROP_BIN"), name) }

// ourRuntime makes a dockerd whose containers are slipway-runtime's unless they say otherwise.
func ourRuntime(t *testing.T, flags ...string) *engine {
	t.Helper()
	t.Cleanup(cleanNetwork(t))
	dockerd := another(t, "docker")
	dockerd.flags = append([]string{"--add-runtime", "slipway=" + program("slipway-runtime"), "--default-runtime", "slipway"}, flags...)
	for _, dir := range []string{theWorld.dir, dockerd.dir} { // for the root of a user namespace, an ordinary user on the way
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	require.NoError(t, dockerd.start())
	return dockerd
}

// TestDockerdWithOurRuntime: slipway-runtime in runc's place, chosen by --add-runtime.
func TestDockerdWithOurRuntime(t *testing.T) {
	ourRuntime(t)
	box := theWorld.images.busybox
	require.Equal(t, "slipway", must(t, "info", "-f", "{{.DefaultRuntime}}"))
	for code, args := range map[int][]string{
		0: {"true"}, 7: {"sh", "-c", "exit 7"}, 127: {"no-such-program"}, 126: {"/etc/passwd"},
	} {
		r := docker(t, append([]string{"run", "--rm", box}, args...)...)
		require.Equal(t, code, r.code, r.String())
	}
	require.Equal(t, "runc's", must(t, "run", "--rm", "--runtime", "runc", box, "echo", "runc's"), "the two live side by side")

	n := name(t, "")
	must(t, "run", "-d", "--name", n, "-m", "64m", "--pids-limit", "99", box, "sh", "-c", `trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done`)
	require.NoError(t, eventually(10*time.Second, func() error {
		if out := must(t, "logs", n); out != "up" {
			return fmt.Errorf("logs: %q", out)
		}
		return nil
	}))
	require.Equal(t, 3, docker(t, "exec", n, "sh", "-c", "exit 3").code)
	require.Equal(t, "1000", must(t, "exec", "-u", "1000", n, "id", "-u"))
	require.NotZero(t, docker(t, "exec", n, "no-such-program").code)
	must(t, "pause", n)
	require.Equal(t, "true", must(t, "inspect", "-f", "{{.State.Paused}}", n))
	require.NotZero(t, docker(t, "exec", n, "true").code)
	must(t, "unpause", n)
	must(t, "update", "-m", "96m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "55", n)
	require.Equal(t, "55", must(t, "exec", n, "cat", "/sys/fs/cgroup/"+onV1("pids/")+"pids.max"))
	stats := strings.Fields(must(t, "stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", n))
	require.Equal(t, "96MiB", stats[2])
	require.NotEqual(t, "0", stats[3])
	require.Contains(t, must(t, "top", n), "sleep")
	must(t, "stop", n)
	require.Equal(t, "4", must(t, "wait", n))
	require.Contains(t, must(t, "logs", n), "bye")

	x := newTerminal(t, "run", "--rm", "-it", "--init", box, "sh")
	x.expect(`# `)
	x.say("tty; cat /proc/1/comm; exit 5\n")
	x.expect(`/dev/pts/0`)
	x.expect(`docker-init`)
	require.Equal(t, 5, x.wait())
}

// onV1 is the directory of a controller, which cgroup v2 has none of.
func onV1(dir string) string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return ""
	}
	return dir
}

// TestDockerdRestartsOurs: a restart policy, and containers that live on while dockerd does not.
func TestDockerdRestartsOurs(t *testing.T) {
	dockerd := ourRuntime(t)
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "--restart", "on-failure:3", theWorld.images.busybox, "sh", "-c", "exit 1")
	require.NoError(t, eventually(20*time.Second, func() error {
		if out := must(t, "inspect", "-f", "{{.RestartCount}} {{.State.Status}}", n); out != "3 exited" {
			return fmt.Errorf("restarts: %s", out)
		}
		return nil
	}))
	lives := name(t, "-lives")
	must(t, "run", "-d", "--name", lives, theWorld.images.busybox, "sleep", "1000")
	require.NoError(t, dockerd.killDaemon())
	require.NoError(t, dockerd.start())
	require.Equal(t, "true", must(t, "inspect", "-f", "{{.State.Running}}", lives))
	require.Zero(t, docker(t, "exec", lives, "true").code)
}

// TestDockerdRemapsOurs: dockerd's --userns-remap, with subordinate ids that only this test sees.
func TestDockerdRemapsOurs(t *testing.T) {
	ids := filepath.Join(t.TempDir(), "subid")
	require.NoError(t, os.WriteFile(ids, []byte("nobody:100000:65536\nnogroup:100000:65536\n"), 0o644))
	for _, f := range []string{"/etc/subuid", "/etc/subgid"} {
		require.NoError(t, unix.Mount(ids, f, "", unix.MS_BIND, ""))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(f, unix.MNT_DETACH)) })
	}
	ourRuntime(t, "--userns-remap", "nobody:nogroup")
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "-v", n+":/data", theWorld.images.busybox, "sleep", "1000")
	t.Cleanup(func() { docker(t, "volume", "rm", n) })
	require.Equal(t, "0 100000 65536", strings.Join(strings.Fields(must(t, "exec", n, "cat", "/proc/self/uid_map")), " "))
	require.Equal(t, "0", must(t, "exec", n, "id", "-u"))
	must(t, "exec", n, "touch", "/data/file", "/tmp/file")
	must(t, "pause", n)
	must(t, "unpause", n)
	must(t, "stop", "-t", "1", n)
}

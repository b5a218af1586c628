//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command runs a program to its end, within a minute, and returns its output and status.
func command(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = append(os.Environ(), env...), &out, &errs, time.Second
	err := cmd.Run()
	require.NoError(t, ctx.Err(), "hangs: %s\n%s%s", strings.Join(args, " "), out.String(), errs.String())
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return result{args, out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// containerd is Debian's, with its own shim, and ctr to speak to it.
type containerd struct {
	dir string
	env []string
}

func newContainerd(t *testing.T) *containerd {
	t.Helper()
	dir, err := os.MkdirTemp(theWorld.dir, "c")
	require.NoError(t, err)
	c := &containerd{dir: dir}
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n[plugins.\"io.containerd.internal.v1.opt\"]\n  path = %q\n",
		dir+"/root", dir+"/state", dir+"/c.sock", dir+"/opt")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	daemon := exec.Command("containerd", "-c", config)
	daemon.Stdout, daemon.Stderr = log, log
	require.NoError(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		require.NoError(t, log.Close())
	})
	require.NoError(t, eventually(20*time.Second, func() error {
		if r := c.ctr(t, "version"); r.code != 0 {
			return fmt.Errorf("%s", r)
		}
		return nil
	}))
	return c
}

func (c *containerd) ctr(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, nil, append([]string{"ctr", "-a", c.dir + "/c.sock"}, args...)...)
}

func (c *containerd) must(t *testing.T, args ...string) string {
	t.Helper()
	r := c.ctr(t, args...)
	require.Zero(t, r.code, r.String())
	return strings.TrimSpace(r.out)
}

// TestContainerdWithOurRuntime: containerd's own shim calls slipway-runtime, which ctr names as the binary (BinaryName).
func TestContainerdWithOurRuntime(t *testing.T) {
	c := newContainerd(t)
	box := theWorld.images.busybox
	c.must(t, "images", "pull", "--plain-http", box)
	run := []string{"run", "--runc-binary", program("slipway-runtime"), "--runc-root", c.dir + "/runtime", "--cgroup", "/ctr/one"}
	require.Equal(t, "hello", c.must(t, append(run, "--rm", box, "short", "echo", "hello")...))
	require.Equal(t, 7, c.ctr(t, append(run, "--rm", box, "seven", "sh", "-c", "exit 7")...).code)
	require.NotZero(t, c.ctr(t, append(run, "--rm", box, "none", "no-such-program")...).code)

	c.must(t, append(run, "-d", box, "long", "sleep", "1000")...)
	require.Contains(t, c.must(t, "tasks", "ls"), "RUNNING")
	require.Equal(t, "sleep", c.must(t, "tasks", "exec", "--exec-id", "e1", "long", "cat", "/proc/1/comm"))
	require.Equal(t, 9, c.ctr(t, "tasks", "exec", "--exec-id", "e2", "long", "sh", "-c", "exit 9").code)
	c.must(t, "tasks", "pause", "long")
	require.Contains(t, c.must(t, "tasks", "ls"), "PAUSED")
	c.must(t, "tasks", "resume", "long")
	require.Contains(t, c.must(t, "tasks", "metrics", "long"), "memory")
	require.Contains(t, c.must(t, "tasks", "ps", "long"), "PID")
	c.must(t, "tasks", "kill", "-s", "KILL", "long")
	require.NoError(t, eventually(10*time.Second, func() error {
		if out := c.must(t, "tasks", "ls"); !strings.Contains(out, "STOPPED") {
			return fmt.Errorf("tasks: %s", out)
		}
		return nil
	}))
	c.must(t, "tasks", "delete", "long")
	c.must(t, "containers", "delete", "long")
}

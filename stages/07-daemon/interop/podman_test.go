//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// leaveNoGroups takes away what podman leaves of its cgroups: the parent of all, and on v1 also directories for hierarchies that are not
// mounted.
func leaveNoGroups(t *testing.T) {
	t.Helper()
	const parents, hierarchies = "/sys/fs/cgroup/*/libpod_parent", "/sys/fs/cgroup/*"
	before := map[string]bool{}
	for _, pattern := range []string{parents, hierarchies} {
		for _, dir := range matching(t, pattern) {
			before[dir] = true
		}
	}
	t.Cleanup(func() {
		for _, pattern := range []string{parents + "/*", parents, hierarchies} { // from below
			for _, dir := range matching(t, pattern) {
				if !before[dir] && !before[filepath.Dir(dir)+"/libpod_parent"] {
					require.Eventually(t, func() bool { return removed(dir) }, 10*time.Second, 50*time.Millisecond, dir)
				}
			}
		}
	})
}

// removed removes a group, or what podman took for one: there it has written files.
func removed(dir string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	switch {
	case err != nil:
	case fs.Type == unix.TMPFS_MAGIC:
		err = os.RemoveAll(dir)
	default:
		err = os.Remove(dir)
	}
	return err == nil || errors.Is(err, unix.ENOENT)
}

func matching(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	require.NoError(t, err)
	return slices.DeleteFunc(list, func(name string) bool {
		st, err := os.Lstat(name)
		return err != nil || !st.IsDir()
	})
}

// TestPodmanWithOurRuntime: podman and conmon call slipway-runtime.
func TestPodmanWithOurRuntime(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("needs podman")
	}
	leaveNoGroups(t)
	dir, err := os.MkdirTemp(theWorld.dir, "p")
	require.NoError(t, err)
	policy := filepath.Join(dir, "policy.json")
	require.NoError(t, os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600))
	storage := filepath.Join(dir, "storage.conf")
	require.NoError(t, os.WriteFile(storage, []byte(fmt.Sprintf("[storage]\ndriver = \"overlay\"\nrunroot = %q\ngraphroot = %q\n", dir+"/run", dir+"/root")), 0o600))
	env := []string{"CONTAINERS_CONF=/dev/null", "CONTAINERS_STORAGE_CONF=" + storage}
	podman := func(args ...string) result {
		t.Helper()
		return command(t, env, append([]string{
			"podman", "--tmpdir", dir + "/tmp", "--runtime", program("slipway-runtime"), "--cgroup-manager", "cgroupfs", "--events-backend", "file",
		}, args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		r := podman(args...)
		require.Zero(t, r.code, r.String())
		return strings.TrimSpace(r.out)
	}
	box := theWorld.images.busybox
	must("pull", "-q", "--tls-verify=false", "--signature-policy", policy, box)
	t.Cleanup(func() { podman("rm", "-fa", "-t", "0"); podman("rmi", "-fa") })

	hello := podman("run", "--rm", "--network", "none", box, "sh", "-c", "echo hello; exit 7")
	require.Equal(t, 7, hello.code, hello.String())
	require.Equal(t, "hello\n", hello.out)
	require.Equal(t, 127, podman("run", "--rm", "--network", "none", box, "no-such-program").code)
	require.Equal(t, 126, podman("run", "--rm", "--network", "none", box, "/etc").code)
	must("run", "-d", "--name", "long", "--network", "none", "-m", "64m", box, "sh", "-c", `trap 'exit 4' TERM; echo up; while :; do sleep 0.1; done`)
	require.Equal(t, 3, podman("exec", "long", "sh", "-c", "exit 3").code)
	require.Equal(t, "1000", must("exec", "-u", "1000", "long", "id", "-u"))
	must("pause", "long")
	must("unpause", "long")
	require.Equal(t, "up", must("logs", "long"))
	require.Contains(t, must("top", "long"), "sleep")
	must("stop", "-t", "10", "long")
	require.Equal(t, "4", must("inspect", "-f", "{{.State.ExitCode}}", "long"))
	must("rm", "long")

	must("run", "-d", "--name", "mapped", "--network", "none", "--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", box, "sleep", "1000")
	require.Equal(t, "0 100000 1000", strings.Join(strings.Fields(must("exec", "mapped", "cat", "/proc/self/uid_map")), " "))
	must("kill", "mapped")
	must("rm", "-f", "-t", "0", "mapped")
}

//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPodmanWithOurRuntime: podman and conmon call slipway-runtime.
func TestPodmanWithOurRuntime(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("needs podman")
	}
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

//go:build interop

package interop

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBuildKitWithOurRuntime: buildkitd's OCI worker runs each step of a build by slipway-runtime (run --keep, delete). Debian
// has no package of it, so this is for machines that got it some other way.
func TestBuildKitWithOurRuntime(t *testing.T) {
	if _, err := exec.LookPath("buildkitd"); err != nil {
		t.Skip("needs buildkitd")
	}
	dir, err := os.MkdirTemp(theWorld.dir, "b")
	require.NoError(t, err)
	config := filepath.Join(dir, "buildkitd.toml")
	text := fmt.Sprintf("root = %q\n[grpc]\n  address = [%q]\n[worker.oci]\n  enabled = true\n  binary = %q\n  snapshotter = \"overlayfs\"\n  defaultCgroupParent = \"/buildkit\"\n[worker.containerd]\n  enabled = false\n[registry.%q]\n  http = true\n",
		dir+"/root", "unix://"+dir+"/b.sock", program("slipway-runtime"), registryAddr)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	daemon := exec.Command("buildkitd", "--config", config)
	daemon.Stdout, daemon.Stderr = log, log
	require.NoError(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		require.NoError(t, log.Close())
		if t.Failed() {
			words, _ := os.ReadFile(log.Name())
			t.Log(tail(string(words), 30))
		}
	})
	buildctl := func(args ...string) result {
		return command(t, nil, append([]string{"buildctl", "--addr", "unix://" + dir + "/b.sock"}, args...)...)
	}
	require.NoError(t, eventually(20*time.Second, func() error {
		if r := buildctl("debug", "workers"); r.code != 0 {
			return fmt.Errorf("%s", r)
		}
		return nil
	}))

	context := filepath.Join(dir, "context")
	require.NoError(t, os.Mkdir(context, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("word"), 0o600))
	dockerfile := "FROM " + theWorld.images.busybox + ` AS first
RUN --mount=type=cache,target=/cache echo made > /cache/x && cp /cache/x /x
RUN --mount=type=secret,id=s test "$(cat /run/secrets/s)" = word
USER 1000
RUN id -u > /tmp/who && test ! -w /proc/sys/kernel/hostname
FROM ` + theWorld.images.busybox + `
COPY --from=first /x /tmp/who /got/
WORKDIR /new/place
RUN test "$(pwd)" = /new/place && test "$(cat /got/who)" = 1000
`
	require.NoError(t, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(dockerfile), 0o644))
	build := []string{
		"build", "--frontend", "dockerfile.v0", "--local", "context=" + context, "--local", "dockerfile=" + context,
		"--secret", "id=s,src=" + dir + "/secret", "--progress", "plain",
	}
	r := buildctl(append(build, "--output", "type=image,name="+registryAddr+"/built:1,push=true,registry.insecure=true")...)
	require.Zero(t, r.code, r.String())
	ask, err := http.NewRequest(http.MethodGet, "http://"+registryAddr+"/v2/built/manifests/1", nil)
	require.NoError(t, err)
	for _, kind := range []string{"manifest", "index"} {
		ask.Header.Add("Accept", "application/vnd.oci.image."+kind+".v1+json")
	}
	ask.Header.Add("Accept", "application/vnd.docker.distribution.manifest.v2+json")
	resp, err := http.DefaultClient.Do(ask)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	require.NoError(t, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM "+theWorld.images.busybox+"\nRUN exit 7\n"), 0o644))
	failed := buildctl(build...)
	require.NotZero(t, failed.code)
	require.Contains(t, failed.err, "exit code: 7")
}

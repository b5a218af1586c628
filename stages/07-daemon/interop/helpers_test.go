//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cleanNetwork removes what a stopped dockerd leaves to its next start; ours would meet it.
func cleanNetwork(t *testing.T) func() {
	return func() {
		if theWorld.target == "slipway" {
			for _, c := range []*exec.Cmd{exec.Command("ip", "link", "del", "docker0"), exec.Command("nft", "delete table ip nat; delete table ip filter")} {
				if out, err := c.CombinedOutput(); err != nil && !t.Failed() { // a dockerd that did not start made none
					t.Errorf("%s: %v: %s", c, err, out)
				}
			}
		}
	}
}

// TestDockerdWithOurHelpers: slipway-proxy in docker-proxy's place and slipway-init in docker-init's, under the real dockerd.
func TestDockerdWithOurHelpers(t *testing.T) {
	t.Cleanup(cleanNetwork(t))
	dockerd := another(t, "docker")
	bin := os.Getenv("SLIPWAY_INTEROP_BIN")
	dockerd.flags = []string{
		"--userland-proxy-path", filepath.Join(bin, "slipway-proxy"), "--init-path", filepath.Join(bin, "slipway-init"),
	}
	require.NoError(t, dockerd.start())
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "--init", "-p", "127.0.0.1:6382:6379", "-p", "6383:6379", theWorld.images.redis)
	for _, port := range []string{"6382", "6383"} {
		require.NoError(t, eventually(10*time.Second, func() error { return redisPing("127.0.0.1", port) }))
	}
	require.NoError(t, redisPing("::1", "6383"))
	var proxies int
	for _, p := range processes() {
		if p.comm == "slipway-proxy" {
			proxies++
		}
	}
	require.Equal(t, 3, proxies, "one for each address that dockerd listens on")
	require.Contains(t, must(t, "exec", n, "/proc/1/exe", "--version"), "slipway-init version") // its name there is docker-init
	taken := docker(t, "run", "--rm", "-p", "6382:80", theWorld.images.busybox, "true")
	require.Equal(t, 125, taken.code, taken.String())
	require.Equal(t, 7, docker(t, "run", "--rm", "--init", theWorld.images.busybox, "sh", "-c", "exit 7").code)
	must(t, "rm", "-f", n)
	require.Error(t, redisPing("127.0.0.1", "6382"))
}

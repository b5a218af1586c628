package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCVE_2024_21626: an image's working directory, or its program, is reached through a descriptor of the host's that is open until
// execve.
func TestCVE_2024_21626(t *testing.T) {
	needsRoot(t)
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	host := t.TempDir()
	text, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(host, "prog"), text, 0o755))
	dir, err := os.Open(host)
	require.NoError(t, err)
	defer dir.Close()
	for n := 3; n < int(dir.Fd())+16; n++ {
		through := fmt.Sprint("/proc/self/fd/", n)
		_, err := c.run("run", "--workdir", through, "box:v1", "sh", "-c", "exit 0")
		require.Error(t, err, "working directory by descriptor %d", n)
		_, err = c.run("run", "box:v1", through+strings.Repeat("/..", 20)+filepath.Join(host, "prog"), "true")
		require.Error(t, err, "program by descriptor %d", n)
	}
}

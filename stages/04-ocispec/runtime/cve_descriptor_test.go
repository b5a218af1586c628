package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// What the runtime has open while the container's own paths are followed: each of the tests has a directory of the host's among it,
// as a caller may leave one open, and as the runtime itself holds those of the cgroup tree.

// holdOpen opens the canary, and gives the numbers that it or anything else of the host's could have.
func (c canary) holdOpen(t *testing.T) (numbers []int) {
	t.Helper()
	dir, err := os.Open(string(c))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dir.Close()) })
	for n := 3; n < int(highest(t))+8; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// TestCVE_2024_21626: a working directory, a program or a program's interpreter is reached through a descriptor of the host's. The
// kernel follows all three before it closes what is marked close-on-exec.
func TestCVE_2024_21626(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	numbers := c.holdOpen(t)
	host := filepath.Join(t.TempDir(), "prog") // of the host: executed inside, it could be written to by /proc/self/exe
	text, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(host, text, 0o755))
	bundle := func(change func(*specs.Spec)) string {
		return p.imageWith(t, "sleep 1000", change, func(root string) {
			for _, n := range numbers {
				through := fmt.Sprintf("/proc/self/fd/%d/%s%s", n, strings.Repeat("../", 20), host[1:])
				require.NoError(t, errors.Join(
					os.WriteFile(filepath.Join(root, "bin", fmt.Sprint("script", n)), []byte("#!"+through+" true\n"), 0o755),
					os.Symlink(through, filepath.Join(root, "bin", fmt.Sprint("link", n)))))
			}
		})
	}
	p.create(t, bundle(nil))
	require.NoError(t, p.Start(t.Context(), "c"))
	for _, n := range numbers {
		for what, change := range map[string]func(*specs.Process){
			"working directory":            func(pr *specs.Process) { pr.Cwd = fmt.Sprint("/proc/self/fd/", n) },
			"working directory to be made": func(pr *specs.Process) { pr.Cwd = fmt.Sprintf("/proc/self/fd/%d/made/here", n) },
			"program":                      func(pr *specs.Process) { pr.Args = []string{fmt.Sprint("/bin/link", n), "true"} },
			"interpreter":                  func(pr *specs.Process) { pr.Args = []string{fmt.Sprint("/bin/script", n)} },
		} {
			_, err := p.exec(t, change, "true")
			require.Error(t, err, "exec: %s by descriptor %d", what, n)
			c.unharmed(t)
			proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "evil", Bundle: bundle(func(s *specs.Spec) { change(s.Process) })})
			if err == nil {
				err = p.Start(t.Context(), "evil")
				require.NoError(t, errors.Join(p.Delete(t.Context(), "evil", true), proc.Close()))
			}
			require.Error(t, err, "%s by descriptor %d", what, n)
			c.unharmed(t)
		}
	}
}

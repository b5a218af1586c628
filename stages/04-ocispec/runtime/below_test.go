package runtime_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestBelowAnothersUserNamespace: what is new belongs to the user namespace of a container that runs, and what is joined need
// not belong to it.
func TestBelowAnothersUserNamespace(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", ownUsers))
	v, err := p.State("c")
	require.NoError(t, err)
	ns := func(kind string) string {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", v.PID, kind))
		require.NoError(t, err)
		return link
	}
	foreign := filepath.Join(t.TempDir(), "net") // of the host's user namespace
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	out, err := exec.Command("unshare", "-n", "mount", "--bind", "/proc/self/ns/net", foreign).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(foreign, unix.MNT_DETACH)) })

	script := "{ echo $$; id -u; hostname; for n in user pid net uts; do readlink /proc/self/ns/$n; done; } >/out/out"
	for name, join := range map[string]map[specs.LinuxNamespaceType]string{
		"all new":                 {specs.UserNamespace: ""},
		"pid joined":              {specs.UserNamespace: "", specs.PIDNamespace: fmt.Sprintf("/proc/%d/ns/pid", v.PID)},
		"network of another user": {specs.UserNamespace: "", specs.NetworkNamespace: foreign},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Chmod(filepath.Dir(t.TempDir()), 0o755)) // as in newPlace
			_ = os.Remove(filepath.Join(p.out, "out"))                     // of the round before
			out, status := p.run(t, script, func(s *specs.Spec) {
				s.Hostname = "below"
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: fmt.Sprintf("/proc/%d/ns/user", v.PID)})
				for i, n := range s.Linux.Namespaces {
					if path := join[n.Type]; path != "" {
						s.Linux.Namespaces[i].Path = path
					}
				}
				for i, m := range s.Mounts {
					if m.Type == "sysfs" && join[specs.NetworkNamespace] != "" { // it is mounted for a network namespace, by its owner
						s.Mounts[i] = specs.Mount{Destination: m.Destination, Source: "/sys", Type: "bind", Options: []string{"rbind"}}
					}
				}
			})
			require.Zero(t, status)
			lines := strings.Fields(out)
			require.Len(t, lines, 7, out)
			require.Equal(t, join[specs.PIDNamespace] == "", lines[0] == "1", "process 1 of a pid namespace of its own")
			require.Equal(t, []string{"0", "below", ns("user")}, lines[1:4])
			require.Equal(t, join[specs.PIDNamespace] != "", lines[4] == ns("pid"))
			require.Equal(t, join[specs.NetworkNamespace] != "", lines[5] == inodeName(t, "net", foreign))
			require.NotEqual(t, ns("uts"), lines[6])
		})
	}
}

func inodeName(t *testing.T, kind, path string) string {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return fmt.Sprintf("%s:[%d]", kind, st.Ino)
}

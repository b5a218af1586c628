package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
)

// What a process inside can reach of the host without any path: its cgroups and its sockets.

// TestCVE_2022_0492: root of a new user namespace mounts a v1 hierarchy and names a release_agent, which the kernel runs on the host.
func TestCVE_2022_0492(t *testing.T) {
	hierarchies, err := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	require.NoError(t, err)
	if len(hierarchies) == 0 {
		t.Skip("needs a cgroup v1 hierarchy")
	}
	agents := func() string {
		var all strings.Builder
		for _, h := range hierarchies {
			text, err := os.ReadFile(h)
			require.NoError(t, err)
			all.Write(text)
		}
		return all.String()
	}
	before := agents()
	attack := `echo >>/out/tried
for h in cpu cpuacct cpuset memory devices freezer blkio pids rdma perf_event net_cls name=systemd; do
  busybox mkdir -p /tmp/$h && busybox mount -t cgroup -o $h cgroup /tmp/$h && echo mounted $h >>/out/tried
done 2>/dev/null
for f in /tmp/*/release_agent /sys/fs/cgroup/*/release_agent; do [ -e $f ] && echo exists $f >>/out/tried; (echo /evil >$f) 2>/dev/null && echo "WROTE $f"; done >>/out/out; true`
	all := caps.Names()
	for name, change := range map[string]func(*specs.Spec){
		"root of the host": func(*specs.Spec) {},
		"all powerful root of its own": func(s *specs.Spec) {
			ownUsers(s)
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Permitted: all, Effective: all}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			require.NoError(t, os.WriteFile(filepath.Join(p.out, "attack"), []byte(attack), 0o644))
			_, status := p.run(t, "sh /out/attack; busybox unshare -Um sh /out/attack", func(s *specs.Spec) {
				change(s)
				mount(s, "/tmp", "tmpfs", "tmpfs")
			})
			require.Zero(t, status)
			out, err := os.ReadFile(filepath.Join(p.out, "out"))
			require.NoError(t, err)
			require.Empty(t, string(out))
			require.Equal(t, before, agents())
			tried, err := os.ReadFile(filepath.Join(p.out, "tried"))
			require.NoError(t, err)
			require.Equal(t, name != "root of the host", strings.Contains(string(tried), "mounted "), string(tried))
		})
	}
}

// TestCVE_2025_47291: a container with a user namespace was outside of the groups that limit it. Both the program and what exec adds
// are members in every hierarchy, with whatever they start.
func TestCVE_2025_47291(t *testing.T) {
	for name, users := range map[string]func(*specs.Spec){"root": func(*specs.Spec) {}, "user namespace": ownUsers} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			var path string
			p.create(t, p.bundle(t, "sleep 1000 & wait", func(s *specs.Spec) {
				users(s)
				path = s.Linux.CgroupsPath
			}))
			require.NoError(t, p.Start(t.Context(), "c"))
			_, err := p.exec(t, nil, "sh", "-c", "sleep 1001 & true")
			require.NoError(t, err)
			layout, err := cgroup.Detect()
			require.NoError(t, err)
			group, err := layout.Group(path)
			require.NoError(t, err)
			var pids []int
			require.Eventually(t, func() bool {
				pids, err = p.Pids("c")
				return err == nil && len(pids) == 3
			}, 10*time.Second, 5*time.Millisecond, "the program, its child and exec's")
			for _, pid := range pids {
				text, err := os.ReadFile("/proc/" + itoa(pid) + "/cgroup")
				require.NoError(t, err)
				inside := strings.Count(string(text), ":"+path+"\n")
				require.Equal(t, len(group.Dirs()), inside, string(text))
			}
		})
	}
}

// TestCVE_2020_15257: a socket in the abstract name space is open to every container that has the host's network.
func TestCVE_2020_15257(t *testing.T) {
	abstract := func() (names []string) {
		text, err := os.ReadFile("/proc/net/unix")
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 8 && strings.HasPrefix(f[7], "@") {
				names = append(names, f[7])
			}
		}
		return names
	}
	p := newPlace(t)
	before := abstract()
	p.create(t, p.bundle(t, "sleep 1000", func(s *specs.Spec) { s.Process.Terminal = false }))
	require.Subset(t, before, abstract(), "created")
	require.NoError(t, p.Start(t.Context(), "c"))
	_, err := p.exec(t, nil, "true")
	require.NoError(t, err)
	require.Subset(t, before, abstract(), "running")
}

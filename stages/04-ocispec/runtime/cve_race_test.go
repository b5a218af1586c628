package runtime_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// Races that are about what the kernel shows by itself: procfs, masks and terminals. The attacker, on the other core, changes a
// volume that the container shows where it is about to find them.

// inside reads a file of the container's that is being made, as it sees it.
func (p *place) inside(t *testing.T, name string) string {
	t.Helper()
	v, err := p.State("race")
	require.NoError(t, err)
	text, err := os.ReadFile("/proc/" + itoa(v.PID) + name)
	require.NoError(t, err)
	return string(text)
}

// mountsIn are the mount points of mountinfo, each with the root that it shows and its file system (proc_pid_mountinfo(5)).
func mountsIn(mountinfo string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(mountinfo) {
		left, right, _ := strings.Cut(line, " - ")
		f := strings.Fields(left)
		found[f[4]] = append(found[f[4]], f[3]+" "+strings.Fields(right)[0])
	}
	return found
}

// TestRacedMask: CVE-2025-31133, as a race. The mask lies on the file that was to be masked and is the host's /dev/null, whatever
// the container's is at that moment.
func TestRacedMask(t *testing.T) {
	p, volume := newPlace(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(volume, "null"), nil, 0o666))
	require.NoError(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(volume, "link")))
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
		mount(s, "/dev", "bind", volume, "rbind")
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/timer_list", "/proc/uptime"}, []string{"/proc/sys"}
	})
	exchange(t, filepath.Join(volume, "null"), filepath.Join(volume, "link"))
	p.race(t, runtime.CreateOptions{Bundle: bundle}, func() {
		mounts := mountsIn(p.inside(t, "/mountinfo"))
		for _, masked := range []string{"/proc/timer_list", "/proc/uptime"} {
			require.Len(t, mounts[masked], 1)
			require.NotContains(t, mounts[masked][0], "core_pattern")
			v, err := p.State("race")
			require.NoError(t, err)
			var st unix.Stat_t
			require.NoError(t, unix.Stat("/proc/"+itoa(v.PID)+"/root"+masked, &st))
			require.Equal(t, unix.Mkdev(1, 3), st.Rdev, masked)
		}
		require.Empty(t, mounts["/proc/sys/kernel/core_pattern"])
	})
}

// TestRacedConsole: CVE-2025-52565, as a race. /dev/console is exchanged for links to files of procfs, which the terminal would
// uncover or cover, and to the host.
func TestRacedConsole(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	before, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	for name, target := range map[string]string{
		"a file of procfs": "/proc/sys/kernel/core_pattern", "the host": strings.Repeat("../", 20) + string(c) + "/console",
	} {
		t.Run(name, func(t *testing.T) {
			bundle := p.bundle(t, "true", func(s *specs.Spec) {
				s.Process.Terminal = true
				s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
				mount(s, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666")
				s.Linux.ReadonlyPaths = []string{"/proc/sys"}
			})
			dev := filepath.Join(bundle, "rootfs/dev") // which somebody else shows, too, and writes to
			require.NoError(t, os.WriteFile(filepath.Join(dev, "console"), nil, 0o620))
			require.NoError(t, os.Symlink(target, filepath.Join(dev, "link")))
			exchange(t, filepath.Join(dev, "console"), filepath.Join(dev, "link"))
			p.race(t, runtime.CreateOptions{Bundle: bundle, Terminal: socket(t)}, func() {
				for at, shown := range mountsIn(p.inside(t, "/mountinfo")) {
					for _, s := range shown {
						require.True(t, !strings.HasSuffix(s, " proc") || strings.HasPrefix(at, "/proc"), "%s of procfs on %s", s, at)
					}
					require.False(t, strings.HasPrefix(at, "/proc/") && strings.HasSuffix(shown[0], " devpts"), "a terminal on %s", at)
				}
			})
			c.unharmed(t)
		})
	}
	after, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

// TestRacedWrites: CVE-2025-52881, as a race. A mount point is exchanged for a link into procfs, where the runtime writes sysctls
// and labels: nothing is ever mounted in there.
func TestRacedWrites(t *testing.T) {
	p, volume, fake := newPlace(t), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(fake, "exec"), []byte("fake\n"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(fake, "ip_unprivileged_port_start"), []byte("fake\n"), 0o666))
	for _, target := range []string{"/proc/self/attr", "/proc/sys/net/ipv4"} {
		require.NoError(t, os.RemoveAll(filepath.Join(volume, "dir")))
		require.NoError(t, os.Mkdir(filepath.Join(volume, "dir"), 0o755))
		replaceBy(t, filepath.Join(volume, "link"), target)
		bundle := p.bundle(t, "true", func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "81"}
			s.Linux.ReadonlyPaths, s.Linux.MaskedPaths = nil, nil
			mount(s, "/vol", "bind", volume, "bind")
			mount(s, "/vol/dir", "bind", fake, "bind")
		})
		t.Run(target, func(t *testing.T) {
			exchange(t, filepath.Join(volume, "dir"), filepath.Join(volume, "link"))
			p.race(t, runtime.CreateOptions{Bundle: bundle}, func() {
				for at := range mountsIn(p.inside(t, "/mountinfo")) {
					require.False(t, strings.HasPrefix(at, "/proc/"), "a mount on %s", at)
				}
			})
		})
	}
	for _, name := range []string{"exec", "ip_unprivileged_port_start"} {
		text, err := os.ReadFile(filepath.Join(fake, name))
		require.NoError(t, err)
		require.Equal(t, "fake\n", string(text))
	}
}

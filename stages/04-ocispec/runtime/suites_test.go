package runtime_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// What the published conformance suites found wrong, so that we find it first (docs/conformance.md).

func ownUsers(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

func TestIDMappedMount(t *testing.T) {
	source := t.TempDir()
	file := filepath.Join(source, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Chown(file, 100, 200))
	own := specs.Mount{
		Destination: "/tmp", Source: source, Options: []string{"bind"},
		UIDMappings: []specs.LinuxIDMapping{{ContainerID: 100, HostID: 101000, Size: 1}},
		GIDMappings: []specs.LinuxIDMapping{{ContainerID: 200, HostID: 102000, Size: 1}},
	}
	for name, c := range map[string]struct {
		users bool
		mount specs.Mount
		want  string
	}{
		"its own map":                      {false, own, "101000 102000\n"},
		"its own map and a user namespace": {true, own, "1000 2000\n"},
		"the user namespace's map":         {true, specs.Mount{Destination: "/tmp", Source: source, Options: []string{"bind", "idmap"}}, "100 200\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := newPlace(t).run(t, "busybox stat -c '%u %g' /tmp/file >/out/out", func(s *specs.Spec) {
				s.Mounts = append(s.Mounts, c.mount)
				if c.users {
					ownUsers(s)
				}
			})
			require.Zero(t, status)
			require.Equal(t, c.want, out)
		})
	}
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, uint32(100), st.Sys().(*syscall.Stat_t).Uid, "the file itself is as it was")
}

// timeNamespaces tells whether the kernel has any: User-Mode Linux has none.
func timeNamespaces() bool {
	_, err := os.Stat("/proc/self/ns/time")
	return err == nil
}

func TestClocksInAUserNamespace(t *testing.T) {
	if !timeNamespaces() {
		t.Skip("needs time namespaces")
	}
	out, status := newPlace(t).run(t, "cat /proc/self/timens_offsets >/out/out", func(s *specs.Spec) {
		ownUsers(s)
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 7881, Nanosecs: 2718281}}
	})
	require.Zero(t, status)
	require.Contains(t, out, "7881   2718281")
}

func TestEnvironmentHasEachNameOnce(t *testing.T) {
	out, status := newPlace(t).run(t, "busybox env | busybox sort | grep -v PWD >/out/out", func(s *specs.Spec) {
		s.Process.Env = []string{"ONE=two", "HOME=", "PATH=/bin", "ONE=three"}
	})
	require.Zero(t, status)
	require.Equal(t, "HOME=/root\nONE=three\nPATH=/bin\nSHLVL=1\n", out)
}

func TestASourceRelativeToTheBundle(t *testing.T) {
	out, status := newPlace(t).run(t, "ls /b/config.json >/out/out", func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/b", Source: ".", Options: []string{"bind"}})
	})
	require.Zero(t, status)
	require.Equal(t, "/b/config.json\n", out)
}

func TestAMissingInterpreterIsNamed(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "", func(s *specs.Spec) { s.Process.Args = []string{"/run.sh"} })
	require.NoError(t, os.WriteFile(filepath.Join(bundle, "rootfs/run.sh"), []byte("#!/nothing\n"), 0o755))
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "i", Bundle: bundle})
	require.NoError(t, err)
	defer proc.Close()
	require.ErrorContains(t, p.Start(t.Context(), "i"), "exec /run.sh: no such file or directory")
	require.NoError(t, p.Delete(t.Context(), "i", true))
	_, _ = proc.Wait()
}

func TestAGroupWithSomebodyInItIsRefused(t *testing.T) {
	p := newPlace(t)
	group := parent + "/" + filepath.Base(p.out)
	shared := func(s *specs.Spec) { s.Linux.CgroupsPath = group }
	p.create(t, p.bundle(t, "sleep 1000", shared))
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "second", Bundle: p.bundle(t, "true", shared)})
	require.ErrorContains(t, err, "container's cgroup is not empty")
	require.NoError(t, p.Start(t.Context(), "c"), "the first one is as it was")
}

func TestAFrozenGroupIsRefused(t *testing.T) {
	p := newPlace(t)
	layout, err := cgroup.Detect()
	require.NoError(t, err)
	group, err := layout.Group(parent + "/frozen-" + filepath.Base(filepath.Dir(p.out)))
	require.NoError(t, err)
	require.NoError(t, group.Create())
	t.Cleanup(func() { require.NoError(t, group.Remove(context.Background())) })
	require.NoError(t, group.Freeze(t.Context()))
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "f", Bundle: p.bundle(t, "true", func(s *specs.Spec) { s.Linux.CgroupsPath = group.Path() })})
	require.ErrorContains(t, err, "cgroup unexpectedly frozen")
	require.NoError(t, group.Thaw(t.Context()))
}

func TestALinkAtProcIsExplained(t *testing.T) {
	p := newPlace(t)
	root := t.TempDir()
	require.NoError(t, os.Symlink("/elsewhere", filepath.Join(root, "proc")))
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "l", Bundle: p.bundle(t, "true", func(s *specs.Spec) { s.Root.Path = root })})
	require.ErrorContains(t, err, "it must be mounted on ordinary directory")
}

func TestPsOfAStoppedContainer(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "true", nil))
	require.NoError(t, p.Start(t.Context(), "c"))
	require.Eventually(t, func() bool { v, err := p.State("c"); return err == nil && v.Status == "stopped" }, 10e9, 1e6)
	pids, err := p.Pids("c")
	require.NoError(t, err)
	require.Empty(t, pids)
}

func TestMemoryPolicyAndPersonality(t *testing.T) {
	if _, err := os.Stat("/proc/self/numa_maps"); err != nil {
		t.Skip("needs a kernel with memory policies")
	}
	out, status := newPlace(t).run(t, "{ busybox uname -m; busybox head -n 1 /proc/self/numa_maps | busybox cut -d ' ' -f 2; } >/out/out", func(s *specs.Spec) {
		s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0"}
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux}
	})
	require.Zero(t, status)
	require.Contains(t, out, "interleave:0")
}

func TestATmpfsTakesTheDirectorysMode(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "busybox stat -c %a /tmp /new /proc/.. >/out/out", func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs"}, specs.Mount{Destination: "/new", Type: "tmpfs"})
	})
	require.NoError(t, os.Chmod(filepath.Join(bundle, "rootfs/tmp"), 0o710))
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
	require.NoError(t, err)
	defer proc.Close()
	require.NoError(t, p.Start(t.Context(), "c"))
	_, err = proc.Wait()
	require.NoError(t, err)
	require.NoError(t, p.Delete(t.Context(), "c", false))
	out, err := os.ReadFile(filepath.Join(p.out, "out"))
	require.NoError(t, err)
	require.Equal(t, "710\n1777\n755\n", string(out))
}

func TestABindHasTheFlagsItSays(t *testing.T) {
	source := t.TempDir()
	require.NoError(t, unix.Mount(source, source, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(source, 0)) })
	require.NoError(t, unix.Mount("", source, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOEXEC, ""))
	for name, c := range map[string]struct {
		options []string
		users   bool
		want    string
	}{
		"none said":                {[]string{"bind"}, false, "ro,noexec,relatime"},
		"one said":                 {[]string{"bind", "nosuid"}, false, "rw,nosuid,relatime"},
		"taken away":               {[]string{"bind", "rw", "noexec"}, false, "rw,noexec,relatime"},
		"kept in a user namespace": {[]string{"bind", "nosuid"}, true, "ro,nosuid,noexec,relatime"},
		"access times":             {[]string{"bind", "ro", "noatime"}, false, "ro,noatime"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := newPlace(t).run(t, "grep ' /tmp ' /proc/self/mountinfo | busybox cut -d ' ' -f 6 >/out/out", func(s *specs.Spec) {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Source: source, Options: c.options})
				if c.users {
					ownUsers(s)
				}
			})
			require.Equal(t, strings.Replace(c.want, "relatime", accessTimes(t, source), 1)+"\n", out)
		})
	}
}

// A created container is the first process of its pid namespace, for which the kernel drops the signals that end others.
func TestASignalEndsACreatedContainer(t *testing.T) {
	for _, signal := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			p := newPlace(t)
			p.create(t, p.bundle(t, "true", nil))
			require.NoError(t, p.Kill(t.Context(), "c", signal, false))
			require.Eventually(t, func() bool {
				view, err := p.State("c")
				require.NoError(t, err)
				return view.Status == lifecycle.Stopped
			}, 10*time.Second, time.Millisecond)
		})
	}
}

// What ends a created container is the program's own business once it runs.
func TestTheProgramsSignalsAreItsOwn(t *testing.T) {
	out, status := newPlace(t).run(t, "grep -E '^Sig(Blk|Pnd)' /proc/self/status >/out/out", nil)
	require.Zero(t, status)
	require.Equal(t, "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n", out)
}

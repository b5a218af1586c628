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

// mount adds one to a configuration.
func mount(s *specs.Spec, destination, kind, source string, options ...string) {
	s.Mounts = append(s.Mounts, specs.Mount{Destination: destination, Type: kind, Source: source, Options: options})
}

// mountedWith makes a directory that is a mount of its own with these options of mount(8).
func mountedWith(t *testing.T, flags uintptr) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	source := t.TempDir()
	require.NoError(t, unix.Mount(source, source, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(source, 0)) })
	require.NoError(t, unix.Mount("", source, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""))
	return source
}

func TestLockedFlagsStayInAUserNamespace(t *testing.T) {
	const ro, times = unix.MS_RDONLY | unix.MS_NOEXEC, unix.MS_NOATIME | unix.MS_NODIRATIME
	for name, c := range map[string]struct {
		flags   uintptr
		options []string
		want    string // of mountinfo; empty: EPERM
	}{
		"nothing said":               {ro, []string{"bind"}, "ro,noexec,relatime"},
		"one set":                    {ro, []string{"bind", "nosuid"}, "ro,nosuid,noexec,relatime"},
		"one cleared that was clear": {ro, []string{"bind", "dev"}, "ro,noexec,relatime"},
		"ro cleared":                 {ro, []string{"bind", "rw"}, ""},
		"noexec cleared":             {ro, []string{"rbind", "exec"}, ""},
		"rrw":                        {ro, []string{"rbind", "rrw"}, ""},
		"times kept":                 {times, []string{"bind", "nosuid"}, "rw,nosuid,noatime,nodiratime"},
		"times not said how":         {times, []string{"bind", "atime"}, "rw,noatime,nodiratime"},
		"times changed":              {times, []string{"bind", "relatime"}, ""},
		"ro set":                     {0, []string{"bind", "ro"}, "ro,relatime"},
	} {
		t.Run(name, func(t *testing.T) {
			source := mountedWith(t, c.flags)
			p := newPlace(t)
			change := func(s *specs.Spec) { mount(s, "/tmp", "", source, c.options...); ownUsers(s) }
			if c.want == "" {
				_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "l", Bundle: p.bundle(t, "true", change)})
				require.ErrorIs(t, err, unix.EPERM)
				require.ErrorContains(t, err, "error mounting: bind "+source+" on /tmp")
				return
			}
			out, _ := p.run(t, "grep ' /tmp ' /proc/self/mountinfo | busybox cut -d ' ' -f 6 >/out/out", change)
			require.Equal(t, strings.Replace(c.want, "relatime", accessTimes(t, source), 1)+"\n", out)
		})
	}
}

// accessTimes is how the mount that dir is on keeps them where nothing else is said: the tests' disk may be one of noatime.
func accessTimes(t *testing.T, dir string) string {
	t.Helper()
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &fs))
	if fs.Flags&unix.ST_NOATIME != 0 {
		return "noatime"
	}
	return "relatime"
}

// TestASourceThatTheContainersIDsMayNotReach: the parent opens it, and finds what earlier mounts have put there.
func TestASourceThatTheContainersIDsMayNotReach(t *testing.T) {
	secret := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(secret, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(secret, "a/b/file"), []byte("found\n"), 0o644))
	require.NoError(t, os.Chmod(secret, 0o700))
	require.NoError(t, os.Chown(secret, 4242, 4242))
	out, _ := newPlace(t).run(t, "cat /tmp/one/b/file /tmp/two/file >/out/out", func(s *specs.Spec) {
		ownUsers(s)
		mount(s, "/tmp", "tmpfs", "tmpfs")
		mount(s, "/tmp/one", "bind", filepath.Join(secret, "a"), "rbind", "ro")
		mount(s, "/tmp/two", "bind", filepath.Join(s.Root.Path, "tmp/one/b"), "rbind") // made relative to the bundle
	})
	require.Equal(t, "found\nfound\n", out)
}

func TestTmpcopyup(t *testing.T) {
	for name, change := range map[string]func(*specs.Spec){"plain": func(*specs.Spec) {}, "user namespace": ownUsers} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			bundle := p.bundle(t, "busybox stat -c '%a %u' /data /data/sub >/out/out; cat /data/sub/file >>/out/out; readlink /data/link >>/out/out; echo changed >/data/sub/file; grep -c ' /data .* - tmpfs ' /proc/self/mountinfo >>/out/out", func(s *specs.Spec) {
				change(s)
				mount(s, "/data", "tmpfs", "tmpfs", "tmpcopyup", "nosuid", "size=1m")
				mount(s, "/out/none", "tmpfs", "tmpfs", "tmpcopyup")
			})
			data := filepath.Join(bundle, "rootfs/data")
			require.NoError(t, os.MkdirAll(filepath.Join(data, "sub"), 0o755))
			require.NoError(t, os.Chmod(data, 0o751))
			require.NoError(t, unix.Chmod(filepath.Join(data, "sub"), 0o1777))
			require.NoError(t, os.WriteFile(filepath.Join(data, "sub/file"), []byte("content\n"), 0o644))
			require.NoError(t, os.Symlink("/etc/shadow", filepath.Join(data, "link")))
			owner := "0"
			if name == "user namespace" {
				require.NoError(t, os.Chown(data, 100007, 100007))
				require.NoError(t, os.Chown(filepath.Join(data, "sub"), 100007, 100007))
				require.NoError(t, os.Chown(filepath.Join(data, "sub/file"), 100000, 100000))
				owner = "7"
			}
			require.Equal(t, "751 "+owner+"\n1777 "+owner+"\ncontent\n/etc/shadow\n1\n", p.runBundle(t, bundle))
			text, err := os.ReadFile(filepath.Join(data, "sub/file"))
			require.NoError(t, err)
			require.Equal(t, "content\n", string(text), "the image's own file is as it was")
		})
	}
}

// runBundle runs a bundle that is there already and returns what it wrote to /out/out.
func (p *place) runBundle(t *testing.T, bundle string) string {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "b", Bundle: bundle})
	require.NoError(t, err)
	defer proc.Close()
	require.NoError(t, p.Start(t.Context(), "b"))
	_, err = proc.Wait()
	require.NoError(t, err)
	require.NoError(t, p.Delete(t.Context(), "b", false))
	text, err := os.ReadFile(filepath.Join(p.out, "out"))
	require.NoError(t, err)
	return string(text)
}

func TestATargetBehindADanglingLink(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "cat /made/here/file /etc/hosts >/out/out; grep -c ' /made/here/file ' /proc/self/mountinfo >>/out/out", func(s *specs.Spec) {
		mount(s, "/etc/hosts", "bind", "config.json", "bind")
		mount(s, "/etc/up", "tmpfs", "tmpfs")
	})
	root := filepath.Join(bundle, "rootfs")
	require.NoError(t, os.Symlink("/jump/file", filepath.Join(root, "etc/hosts")))
	require.NoError(t, os.Symlink("/made/here", filepath.Join(root, "jump")))
	require.NoError(t, os.Symlink("../../../../../../../../../../slipway-escape", filepath.Join(root, "etc/up")))
	out := p.runBundle(t, bundle)
	require.Contains(t, out, `"ociVersion"`)
	require.Regexp(t, "1\n$", out)
	require.NoFileExists(t, "/slipway-escape", "links lead inside the root")
	require.DirExists(t, filepath.Join(root, "slipway-escape"))
}

func TestRootfsPropagation(t *testing.T) {
	for word, want := range map[string]string{"": "master|^$", "private": "^$", "slave": "master|^$", "shared": "shared", "unbindable": "unbindable"} {
		t.Run("propagation "+word, func(t *testing.T) {
			before := hostPropagation(t)
			out, _ := newPlace(t).run(t, "busybox awk '$5 == \"/\" { for (i = 7; $i != \"-\"; i++) print $i }' /proc/self/mountinfo >/out/out", func(s *specs.Spec) { s.Linux.RootfsPropagation = word })
			require.Regexp(t, want, out)
			require.Equal(t, before, hostPropagation(t), "the host's mounts are as they were")
		})
	}
}

// hostPropagation is how the host's root mount propagates, and what is mounted below a directory: other tests mount meanwhile.
func hostPropagation(t *testing.T, dirs ...string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if point := strings.Fields(line)[4]; point == "/" || slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(point, d) }) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestMaskedDirectoriesShareOneTmpfs(t *testing.T) {
	const script = "busybox stat -c %d /etc /tmp | busybox uniq | busybox wc -l >/out/out; touch /tmp/x 2>>/out/out; busybox find /etc /tmp | busybox wc -l >>/out/out"
	out, _ := newPlace(t).run(t, script, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc", "/not/there", "/tmp", "/etc"} })
	require.Equal(t, "1\ntouch: /tmp/x: Read-only file system\n2\n", out)
}

// TestMountsWithoutAMountNamespace: config.md, "Mounts" holds then too; they are gone with the container, and the host's
// propagation is never touched.
func TestMountsWithoutAMountNamespace(t *testing.T) {
	p := newPlace(t)
	above := filepath.Dir(filepath.Dir(p.out))
	host := hostPropagation(t, above)
	change := func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
			return n.Type == specs.MountNamespace || n.Type == specs.PIDNamespace
		})
		s.Linux.RootfsPropagation = "shared"
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/etc"}, nil
	}
	out, status := p.run(t, "ls /etc | busybox wc -l >/out/out; test -c /dev/null && readlink /proc/self/root >>/out/out", change)
	require.Zero(t, status)
	require.Contains(t, out, "0\n/")
	require.Equal(t, host, hostPropagation(t, above))
	bundle := p.bundle(t, "true", func(s *specs.Spec) { change(s); s.Process.Args = []string{"nope"} })
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "h", Bundle: bundle})
	require.ErrorContains(t, err, "not found")
	require.Equal(t, host, hostPropagation(t, above), "after a create that failed")
}

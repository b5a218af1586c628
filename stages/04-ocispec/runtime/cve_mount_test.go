package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// Attacks on paths and mounts, each by the number under which it worked on another runtime. What an attacker has is an image, or
// a volume that another container writes to meanwhile; what must not change are canaries on the host.

// canary is a directory of the host that no container may find or change.
type canary string

func newCanary(t *testing.T) canary {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("of the host\n"), 0o644))
	return canary(dir)
}

// unharmed fails the test when anything in it has changed.
func (c canary) unharmed(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(string(c))
	require.NoError(t, err)
	require.Len(t, entries, 1, "what was made on the host")
	text, err := os.ReadFile(filepath.Join(string(c), "secret"))
	require.NoError(t, err)
	require.Equal(t, "of the host\n", string(text))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), string(c))
}

// exchange swaps two names as fast as it can until the test ends, on a thread of its own (renameat2(2), RENAME_EXCHANGE).
func exchange(t *testing.T, a, b string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				break
			}
		}
		ended <- n
	}()
	t.Cleanup(func() { cancel(); require.Greater(t, <-ended, 100, "the attacker has not run") })
}

// A race is run so often, or for so long on a busy machine: a build that resolves targets without RESOLVE_IN_ROOT is caught at once.
const (
	tries    = 200
	patience = 4 * time.Second
)

// race creates containers again and again, and counts those that came to be.
func (p *place) race(t *testing.T, o runtime.CreateOptions, each func()) {
	t.Helper()
	created, until := 0, time.Now().Add(patience)
	for n := 0; n < tries && (time.Now().Before(until) || created == 0); n++ {
		o.ID = "race"
		proc, err := p.Create(t.Context(), o)
		if err != nil {
			require.ErrorContains(t, err, "unable to start container process: ", "an error of a step")
			continue
		}
		created++
		each()
		require.NoError(t, p.Delete(t.Context(), "race", true))
		_, _ = proc.Wait()
		require.NoError(t, proc.Close())
	}
	require.Positive(t, created, "no container came to be: nothing was tried")
}

// imageWith makes a bundle and changes its image.
func (p *place) imageWith(t *testing.T, script string, change func(*specs.Spec), image func(root string)) string {
	t.Helper()
	bundle := p.bundle(t, script, change)
	image(filepath.Join(bundle, "rootfs"))
	return bundle
}

func replaceBy(t *testing.T, link, target string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(link))
	require.NoError(t, os.Symlink(target, link))
}

// TestCVE_2019_19921: a link or a volume where procfs and sysfs belong lets the image choose what the runtime writes to. The
// regressions are CVE-2023-27561 and CVE-2023-28642.
func TestCVE_2019_19921(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	for _, dir := range []string{"proc", "sys"} {
		for _, target := range []string{"/etc", "/elsewhere", string(c), "../../../../../../../" + string(c)} {
			bundle := p.imageWith(t, "true", nil, func(root string) { replaceBy(t, filepath.Join(root, dir), target) })
			_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle})
			require.ErrorContains(t, err, "must be mounted on ordinary directory", "%s is a link to %s", dir, target)
		}
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: p.imageWith(t, "true", nil, func(root string) {
			require.NoError(t, errors.Join(os.Remove(filepath.Join(root, dir)), os.WriteFile(filepath.Join(root, dir), nil, 0o644)))
		})})
		require.ErrorIs(t, err, unix.ENOTDIR, "%s is a file", dir)
	}
	c.unharmed(t)
}

// TestCVE_2023_27561: the same race with a volume that two containers share.
func TestCVE_2023_27561(t *testing.T) {
	p, c, volume := newPlace(t), newCanary(t), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(volume, "proc"), 0o755))
	require.NoError(t, os.Symlink(string(c), filepath.Join(volume, "link")))
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		s.Mounts = slices.Insert(s.Mounts, 0, specs.Mount{Destination: "/vol", Source: volume, Options: []string{"bind"}})
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol/proc", Type: "proc", Source: "proc"})
	})
	exchange(t, filepath.Join(volume, "proc"), filepath.Join(volume, "link"))
	p.race(t, runtime.CreateOptions{Bundle: bundle}, func() {})
	c.unharmed(t)
}

// TestCVE_2019_16884: a volume on /proc, or on something in it, hides from the runtime what it writes to.
func TestCVE_2019_16884(t *testing.T) {
	p, volume := newPlace(t), t.TempDir()
	for destination, want := range map[string]string{
		"/proc":              "operation not permitted",
		"/proc/self/attr":    "cannot be mounted: it is inside /proc",
		"/proc/sys":          "cannot be mounted: it is inside /proc",
		"/./proc//self/../1": "cannot be mounted: it is inside /proc",
		"/link/attr":         "operation not permitted", // a link of the image's to /proc/self
		"/link2":             "operation not permitted", // to /proc/sys/kernel
	} {
		bundle := p.imageWith(t, "true", func(s *specs.Spec) { mount(s, destination, "", volume, "bind") }, func(root string) {
			replaceBy(t, filepath.Join(root, "link"), "/proc/self")
			replaceBy(t, filepath.Join(root, "link2"), "proc/sys/kernel")
		})
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle})
		require.ErrorContains(t, err, want, destination)
	}
	out, _ := p.run(t, "cat /proc/uptime >/out/out", func(s *specs.Spec) {
		require.NoError(t, os.WriteFile(filepath.Join(volume, "uptime"), []byte("1.00 1.00\n"), 0o644))
		mount(s, "/proc/uptime", "", filepath.Join(volume, "uptime"), "bind")
	})
	require.Equal(t, "1.00 1.00\n", out, "what lxcfs shows is allowed")
}

// TestCVE_2021_30465: between the making of a mount point and the mount, another container exchanges it for a link.
func TestCVE_2021_30465(t *testing.T) {
	p, c, volume := newPlace(t), newCanary(t), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(volume, "dir"), 0o755))
	require.NoError(t, os.Symlink(string(c), filepath.Join(volume, "link")))
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		mount(s, "/vol", "bind", volume, "bind")
		mount(s, "/vol/dir", "tmpfs", "tmpfs")
		mount(s, "/vol/dir/made/here", "bind", volume, "rbind")
	})
	exchange(t, filepath.Join(volume, "dir"), filepath.Join(volume, "link"))
	p.race(t, runtime.CreateOptions{Bundle: bundle}, func() {
		v, err := p.State("race")
		require.NoError(t, err)
		text, err := os.ReadFile("/proc/" + itoa(v.PID) + "/mountinfo")
		require.NoError(t, err)
		require.NotContains(t, string(text), string(c)+" ", "a mount on the canary")
	})
	c.unharmed(t)
}

// TestCVE_2024_45310: directories for mount points, made by a path that somebody bends meanwhile, appeared on the host.
func TestCVE_2024_45310(t *testing.T) {
	p, c, volume := newPlace(t), newCanary(t), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(volume, "a"), 0o755))
	require.NoError(t, os.Symlink(strings.Repeat("../", 20)+string(c), filepath.Join(volume, "link")))
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		mount(s, "/vol", "bind", volume, "bind")
		mount(s, "/vol/a/b/c/d", "tmpfs", "tmpfs")
		mount(s, "/vol/a/e/file", "bind", "config.json", "bind")
	})
	exchange(t, filepath.Join(volume, "a"), filepath.Join(volume, "link"))
	p.race(t, runtime.CreateOptions{Bundle: bundle}, func() { _ = os.RemoveAll(filepath.Join(volume, "a/b")) }) // or the next finds it made
	c.unharmed(t)
}

// TestCVE_2025_31133: what hides a masked file is bound from the container's /dev/null, which is a link by now.
func TestCVE_2025_31133(t *testing.T) {
	p, volume := newPlace(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(volume, "null"), nil, 0o666))
	require.NoError(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(volume, "link")))
	before, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	script := `busybox stat -c '%F %t:%T' /proc/timer_list; cat /proc/timer_list; cat /proc/sys/kernel/core_pattern 2>/dev/null | busybox tee /proc/timer_list >/dev/null; (cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern) 2>/dev/null && echo WRITABLE; true`
	exchange(t, filepath.Join(volume, "null"), filepath.Join(volume, "link"))
	for range 8 {
		out, _ := p.run(t, "{ "+script+"; } >/out/out", func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
			mount(s, "/dev", "bind", volume, "rbind")
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/timer_list"}, []string{"/proc/sys"}
		})
		require.Equal(t, "character special file 1:3\n", out)
	}
	after, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

// TestCVE_2025_52565: /dev/console is bound from a terminal that is named by a path, which leads elsewhere by now.
func TestCVE_2025_52565(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	for name, image := range map[string]func(root string){
		"ptmx is a link": func(root string) {
			require.NoError(t, os.MkdirAll(filepath.Join(root, "dev/pts"), 0o755))
			replaceBy(t, filepath.Join(root, "dev/pts/ptmx"), "/proc/sysrq-trigger")
		},
		"ptmx is another device": func(root string) {
			require.NoError(t, os.MkdirAll(filepath.Join(root, "dev/pts"), 0o755))
			require.NoError(t, unix.Mknod(filepath.Join(root, "dev/pts/ptmx"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		},
		"pts is a link": func(root string) { replaceBy(t, filepath.Join(root, "dev/pts"), string(c)) },
		"ptmx is another's": func(root string) { // as that of a volume that shows the host's
			require.NoError(t, os.MkdirAll(filepath.Join(root, "dev/pts"), 0o755))
			replaceBy(t, filepath.Join(root, "dev/pts/ptmx"), "/other/ptmx")
		},
	} {
		bundle := p.imageWith(t, "true", func(s *specs.Spec) {
			s.Process.Terminal = true
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
			mount(s, "/other", "devpts", "devpts", "newinstance", "ptmxmode=0666")
		}, image)
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle, Terminal: socket(t)})
		require.ErrorContains(t, err, "make a terminal in the container's /dev/pts", name)
	}
	c.unharmed(t)
}

// TestCVE_2025_52881: what the runtime writes to procfs (labels, sysctls) is led to another file by mounts of the container's.
func TestCVE_2025_52881(t *testing.T) {
	p, volume := newPlace(t), t.TempDir()
	fake := filepath.Join(volume, "net/ipv4/ip_unprivileged_port_start")
	require.NoError(t, os.MkdirAll(filepath.Dir(fake), 0o755))
	require.NoError(t, os.WriteFile(fake, []byte("fake\n"), 0o666))
	bundle := p.imageWith(t, "true", func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "81"}
		mount(s, "/link", "bind", volume, "rbind")
	}, func(root string) { replaceBy(t, filepath.Join(root, "link"), "/proc/sys") })
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle})
	require.ErrorIs(t, err, unix.EPERM)
	bundle = p.imageWith(t, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start >/out/out", func(s *specs.Spec) { // the image's own /proc/sys
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "81"}
	}, func(root string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "proc/sys"), 0o755))
		require.NoError(t, os.Symlink(volume+"/net", filepath.Join(root, "proc/sys/net")))
	})
	require.Equal(t, "81\n", p.runBundle(t, bundle))
	text, err := os.ReadFile(fake)
	require.NoError(t, err)
	require.Equal(t, "fake\n", string(text))
}

// TestCVE_2026_41579: device nodes and links of /dev are made through a /dev that is a link. In crun it was CVE-2026-47766.
func TestCVE_2026_41579(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	for _, target := range []string{string(c), strings.Repeat("../", 20) + string(c)} {
		for _, keep := range []bool{true, false} { // with and without a tmpfs on it
			bundle := p.imageWith(t, "true", func(s *specs.Spec) {
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/mine", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/deep/er", Type: "p"}}
				if !keep {
					s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
				}
			}, func(root string) { replaceBy(t, filepath.Join(root, "dev"), target) })
			if proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle}); err == nil {
				require.NoError(t, errors.Join(p.Delete(t.Context(), "x", true), proc.Close()))
			}
			c.unharmed(t)
		}
	}
}

// TestCVE_2026_88264: /dev/console is made through a link of the image's.
func TestCVE_2026_88264(t *testing.T) {
	p, c := newPlace(t), newCanary(t)
	for _, target := range []string{string(c) + "/console", string(c) + "/secret", strings.Repeat("../", 20) + string(c) + "/console"} {
		bundle := p.imageWith(t, "true", func(s *specs.Spec) {
			s.Process.Terminal = true
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Destination, "/dev") })
			mount(s, "/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666")
		}, func(root string) { replaceBy(t, filepath.Join(root, "dev/console"), target) })
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "x", Bundle: bundle, Terminal: socket(t)})
		require.ErrorContains(t, err, "bind the terminal on /dev/console: no such file or directory", "inside there is no such file")
		c.unharmed(t)
	}
}

// TestCVE_2026_88265: a container's user is made the owner of the standard streams, which are files and devices of the host.
func TestCVE_2026_88265(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	own := func(name string) (uid, gid uint32) {
		st, err := os.Stat(name)
		require.NoError(t, err)
		sys := st.Sys().(*syscall.Stat_t)
		return sys.Uid, sys.Gid
	}
	for _, name := range []string{os.DevNull, file, "/dev/zero"} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		require.NoError(t, err)
		uid, gid := own(name)
		restore := streams(t, f)
		_, _ = p.run(t, "echo x >&2; true", func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })
		restore()
		nowUID, nowGID := own(name)
		require.Equal(t, []uint32{uid, gid}, []uint32{nowUID, nowGID}, name)
		require.NoError(t, f.Close())
	}
}

// streams puts a file in the place of the standard streams for a while.
func streams(t *testing.T, f *os.File) (restore func()) {
	t.Helper()
	var saved [3]int
	for fd := range saved {
		var err error
		saved[fd], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 10)
		require.NoError(t, err)
		require.NoError(t, unix.Dup3(int(f.Fd()), fd, 0))
	}
	return func() {
		for fd, s := range saved {
			require.NoError(t, errors.Join(unix.Dup3(s, fd, 0), unix.Close(s)))
		}
	}
}

// TestCVE_2026_115521: the root file system is made read-only through the container's /proc/self/fd, which the image provides.
func TestCVE_2026_115521(t *testing.T) {
	p := newPlace(t)
	bundle := p.imageWith(t, "touch /new 2>/out/out; touch /etc/new 2>>/out/out; true", func(s *specs.Spec) {
		s.Root.Readonly = true
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/proc" })
		s.Linux.ReadonlyPaths, s.Linux.MaskedPaths = []string{"/etc"}, []string{"/tmp"}
	}, func(root string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "proc/self/fd"), 0o755))
		for fd := range 20 {
			require.NoError(t, os.Symlink("/out", filepath.Join(root, "proc/self/fd", itoa(fd))))
		}
	})
	require.Equal(t, "touch: /new: Read-only file system\ntouch: /etc/new: Read-only file system\n", p.runBundle(t, bundle))
}

// TestCVE_2023_25809: without a cgroup namespace, /sys/fs/cgroup shows the host's hierarchies, and they are to be as read-only as
// the configuration says, each of them.
func TestCVE_2023_25809(t *testing.T) {
	for name, users := range map[string]func(*specs.Spec){"root": func(*specs.Spec) {}, "user namespace": ownUsers} {
		t.Run(name, func(t *testing.T) {
			out, status := newPlace(t).run(t, `cd /sys/fs/cgroup && for d in . */; do busybox mkdir "$d/escape" 2>/dev/null && echo "made $d/escape"; (echo 0 >"$d/cgroup.procs") 2>/dev/null && echo "moved in $d"; done >/out/out; true`, func(s *specs.Spec) {
				users(s)
				s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
				s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/sys/fs/cgroup" })
				mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
			})
			require.Zero(t, status)
			require.Empty(t, out)
		})
	}
}

// TestCVE_2021_41091: a state directory that others may search lets every user of the machine reach what lies in it.
func TestCVE_2021_41091(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	require.NoError(t, filepath.WalkDir(p.dir, func(name string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if name != p.dir && info.Mode().Type() != os.ModeSocket { // nobody comes as far as the socket
			require.Zero(t, info.Mode().Perm()&0o077, name)
		}
		return nil
	}))
}

func itoa(n int) string { return strconv.Itoa(n) }

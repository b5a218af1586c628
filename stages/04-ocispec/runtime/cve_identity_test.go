package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Who a process is and what it holds: each test tries what its CVE made possible, with run and with exec.

// TestCVE_2016_9962: whoever is in the container already looks at a process that joins it, before that has closed the host's
// files. A user namespace's root may trace what belongs to its namespace, the host's root what has no more capabilities, and with
// CAP_SYS_PTRACE anything that it sees.
func TestCVE_2016_9962(t *testing.T) {
	spy := `while [ ! -e /out/stop ]; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || { ls -l $p/fd $p/root/ $p/cwd/; readlink $p/exe $p/cwd; }; done; done 2>/dev/null >/out/seen; echo >/out/done`
	tracing := func(s *specs.Spec) {
		for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Permitted, &s.Process.Capabilities.Effective} {
			*set = append(slices.Clone(*set), "CAP_SYS_PTRACE")
		}
	}
	for name, change := range map[string]func(*specs.Spec){
		"user namespace, with CAP_SYS_PTRACE":   func(s *specs.Spec) { ownUsers(s); tracing(s) },
		"the host's users, with CAP_SYS_PTRACE": tracing,
		"the host's users, without":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.create(t, p.bundle(t, spy+"; sleep 1000", change))
			require.NoError(t, p.Start(t.Context(), "c"))
			for range 25 {
				status, err := p.exec(t, nil, "true")
				require.NoError(t, err)
				require.Zero(t, status)
			}
			require.NoError(t, os.WriteFile(filepath.Join(p.out, "stop"), nil, 0o644))
			waitForFile(t, filepath.Join(p.out, "done"))
			seen, err := os.ReadFile(filepath.Join(p.out, "seen"))
			require.NoError(t, err)
			for _, word := range []string{p.dir, "slipway-runtime", ".test", "/sys/fs/cgroup", "pidfd", "state.json", "start.sock", "vmlinuz", "home"} {
				require.NotContains(t, string(seen), word)
			}
		})
	}
}

// TestCVE_2022_29162: inheritable capabilities that nobody asked for let a program with file capabilities have them
// (also CVE-2022-24769, CVE-2022-27649, CVE-2022-27650).
func TestCVE_2022_29162(t *testing.T) {
	p := newPlace(t)
	show := "grep CapInh /proc/self/status >/out/out"
	p.create(t, p.bundle(t, show+"; echo >/out/done; sleep 1000", func(s *specs.Spec) { s.Process.Capabilities.Inheritable, s.Process.Capabilities.Ambient = nil, nil }))
	require.NoError(t, p.Start(t.Context(), "c"))
	waitForFile(t, filepath.Join(p.out, "done"))
	read := func() string {
		text, err := os.ReadFile(filepath.Join(p.out, "out"))
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(p.out, "out")))
		return string(text)
	}
	require.Equal(t, "CapInh:\t0000000000000000\n", read())
	_, err := p.exec(t, nil, "sh", "-c", show)
	require.NoError(t, err)
	require.Equal(t, "CapInh:\t0000000000000000\n", read())
	_, err = p.exec(t, func(pr *specs.Process) { pr.User = specs.User{UID: 1000, GID: 1000} }, "sh", "-c", show)
	require.NoError(t, err)
	require.Equal(t, "CapInh:\t0000000000000000\n", read())
}

// TestCVE_2022_36109: the supplementary groups of whoever started the runtime stay with the container's user
// (containerd: CVE-2023-25173).
func TestCVE_2022_36109(t *testing.T) {
	p := newPlace(t)
	old, err := syscall.Getgroups()
	require.NoError(t, err)
	require.NoError(t, syscall.Setgroups([]int{4, 24, 27}))
	t.Cleanup(func() { require.NoError(t, syscall.Setgroups(old)) })
	for _, groups := range [][]uint32{nil, {5, 6}} {
		want := strings.TrimSpace("1000 "+strings.Trim(fmt.Sprint(groups), "[]")) + "\n"
		as := specs.User{UID: 1000, GID: 1000, AdditionalGids: groups}
		out, _ := p.run(t, "id -G >/out/out", func(s *specs.Spec) { s.Process.User = as })
		require.Equal(t, want, out)
		p.create(t, p.bundle(t, "sleep 1000", nil))
		require.NoError(t, p.Start(t.Context(), "c"))
		require.NoError(t, os.Remove(filepath.Join(p.out, "out")))
		_, err := p.exec(t, func(pr *specs.Process) { pr.User = as }, "sh", "-c", "id -G >/out/out")
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join(p.out, "out"))
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		require.NoError(t, p.Delete(t.Context(), "c", true))
		require.NoError(t, os.Remove(filepath.Join(p.out, "out")))
	}
}

// TestCVE_2026_47262: a passwd without an end keeps its reader busy and eats its memory.
func TestCVE_2026_47262(t *testing.T) {
	before := peak(t)
	for name, replace := range map[string]func(name string) error{
		"four sparse gigabytes": func(name string) error {
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(4 << 30)
		},
		"a device":          func(name string) error { return os.Symlink("/dev/zero", name) },
		"a pipe":            func(name string) error { return unix.Mkfifo(name, 0o644) },
		"a device file":     func(name string) error { return unix.Mknod(name, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) },
		"one line, no end":  func(name string) error { return fillWith(name, "x", 64<<20) },
		"a link to itself":  func(name string) error { return os.Symlink("passwd", name) },
		"a link to outside": func(name string) error { return os.Symlink("/../../../../../proc/self/mem", name) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			bundle := p.bundle(t, "echo $HOME >/out/out; sleep 1000", nil)
			for _, file := range []string{"passwd", "group"} {
				path := filepath.Join(bundle, "rootfs/etc", file)
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, replace(path))
			}
			p.create(t, bundle)
			require.NoError(t, p.Start(t.Context(), "c"))
			status, err := p.exec(t, func(pr *specs.Process) { pr.User.UID = 7; pr.Env = []string{"PATH=/bin"} }, "sh", "-c", "test $HOME = /")
			require.NoError(t, err)
			require.Zero(t, status)
		})
	}
	require.Less(t, peak(t)-before, int64(128<<10), "KiB more than before")
}

// fillWith writes a piece again and again, without ever holding it all.
func fillWith(name, piece string, size int) error {
	f, err := os.Create(name)
	block := []byte(strings.Repeat(piece, 1<<16))
	for n := 0; n < size && err == nil; n += len(block) {
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Close())
}

// peak is the most memory that this process has had, in KiB (getrusage(2)).
func peak(t *testing.T) int64 {
	t.Helper()
	var usage unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return usage.Maxrss
}

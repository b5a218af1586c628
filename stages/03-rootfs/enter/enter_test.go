package enter_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// rootfs is a directory with a static shell.
func rootfs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	text, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs a static /bin/busybox")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), text, 0o755))
	return dir
}

// inside enters the root in a new mount namespace and returns what a shell script prints there.
func inside(t *testing.T, c enter.Config, script string) (string, error) {
	t.Helper()
	var slots enter.Slots
	out := slots.Take()
	root := enter.New(c, &slots)
	pivot, err := root.Pivot()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p := new(launch.Plan).Add(launch.Step{Name: "hold the pipe", Do: func(run *launch.Run) error { run.Hold(out, w); return nil }})
	p.Add(root.Prepare()...)
	p.Add(launch.Step{Name: "clone3", Clone: &launch.Clone{Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}})
	p.Add(root.Fill()...)
	p.Add(pivot...)
	p.Add(
		launch.Step{Name: "connect the pipe", Side: launch.Child, Code: []launch.Instr{
			launch.Call(unix.SYS_DUP3, out, launch.Int(1), launch.Int(0)), launch.Call(unix.SYS_DUP3, out, launch.Int(2), launch.Int(0)),
		}},
		launch.CloseOnExec(3),
		launch.Exec([]string{"/bin/busybox", "sh", "-c", script}, nil, ""),
	)
	proc, err := launch.Start(t.Context(), p, launch.Options{})
	if err != nil {
		_ = w.Close() // the launch may have failed before it took the pipe
		return "", err
	}
	defer proc.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	_, err = proc.Wait()
	return string(text), err
}

func proc() enter.Mount {
	return enter.Mount{Source: "proc", Target: "/proc", Type: "proc", Options: enter.ParseOptions([]string{"nosuid", "noexec", "nodev"})}
}

func TestTheHostIsGoneAfterThePivot(t *testing.T) {
	root := rootfs(t)
	out, err := inside(t, enter.Config{Root: root, Mounts: []enter.Mount{proc()}}, "busybox wc -l </proc/self/mountinfo; busybox ls /; busybox pwd")
	require.NoError(t, err)
	require.Equal(t, "2\nbin\nproc\n/\n", out, "two mounts: the root and /proc")
	after, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(after), root, "nothing of it is seen on the host")
}

func TestNoPivot(t *testing.T) {
	out, err := inside(t, enter.Config{Root: rootfs(t), NoPivot: true}, "busybox ls /")
	require.NoError(t, err)
	require.Equal(t, "bin\n", out)
}

func TestReadonlyRootMaskedAndReadonlyPaths(t *testing.T) {
	root := rootfs(t)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "secret/deep"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "fixed"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "key"), []byte("secret"), 0o644))
	out, err := inside(t, enter.Config{
		Root: root, MaskedPaths: []string{"/secret", "/key", "/not/there"}, ReadonlyPaths: []string{"/fixed", "/nor/this"},
	}, "busybox ls /secret; busybox cat /key; echo x >/fixed/a; echo y >/free; busybox cat /free")
	require.NoError(t, err)
	require.Equal(t, "sh: can't create /fixed/a: Read-only file system\ny\n", out)
	out, err = inside(t, enter.Config{Root: root, Readonly: true}, "echo x >/a")
	require.NoError(t, err)
	require.Equal(t, "sh: can't create /a: Read-only file system\n", out)
}

func TestBindsOfFilesAndDirectoriesWithTheirFlags(t *testing.T) {
	root, source := rootfs(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "f"), []byte("from the host"), 0o644))
	for _, parentOpens := range []bool{false, true} {
		out, err := inside(t, enter.Config{Root: root, ParentOpens: parentOpens, Mounts: []enter.Mount{
			proc(),
			{Source: source, Target: "/new/dir", SourceIsDir: true, Options: enter.ParseOptions([]string{"rbind", "ro", "nosuid"})},
			{Source: filepath.Join(source, "f"), Target: "/etc/file", Options: enter.ParseOptions([]string{"bind"})},
		}}, "busybox cat /new/dir/f /etc/file; echo x >/new/dir/f; busybox grep -o '/new/dir ro,nosuid' /proc/self/mountinfo; echo y >/etc/file")
		require.NoError(t, err)
		require.Equal(t, "from the hostfrom the hostsh: can't create /new/dir/f: Read-only file system\n/new/dir ro,nosuid\n", out)
		require.NoError(t, os.WriteFile(filepath.Join(source, "f"), []byte("from the host"), 0o644))
	}
}

func TestDevicesAndLinks(t *testing.T) {
	dev := enter.Mount{Source: "tmpfs", Target: "/dev", Type: "tmpfs", Options: enter.ParseOptions([]string{"nosuid", "mode=755"})}
	out, err := inside(t, enter.Config{Root: rootfs(t), Mounts: []enter.Mount{proc(), dev}, Devices: enter.DefaultDevices(), Links: enter.DefaultLinks()},
		"echo gone >/dev/null && busybox head -c 3 /dev/zero | busybox od -An -tx1; busybox readlink /dev/ptmx; busybox stat -c '%a %t:%T' /dev/full; echo to stdout >/dev/stdout")
	require.NoError(t, err)
	require.Equal(t, " 00 00 00\npts/ptmx\n666 1:7\nto stdout\n", out)
}

func TestNoWayOutThroughLinks(t *testing.T) {
	canary := t.TempDir()
	t.Run("target of a mount", func(t *testing.T) { // CVE-2021-30465, CVE-2019-19921
		root := rootfs(t)
		require.NoError(t, os.Symlink(strings.Repeat("../", 20)+canary, filepath.Join(root, "data")))
		_, err := inside(t, enter.Config{Root: root, Mounts: []enter.Mount{{Source: "tmpfs", Target: "/data/x", Type: "tmpfs"}}}, "true")
		require.Error(t, err, "the link's target does not exist in the root")
		require.NoDirExists(t, filepath.Join(canary, "x"))
	})
	t.Run("proc", func(t *testing.T) { // CVE-2023-27561
		root := rootfs(t)
		require.NoError(t, os.Mkdir(filepath.Join(root, "elsewhere"), 0o755))
		require.NoError(t, os.Symlink("/elsewhere", filepath.Join(root, "proc")))
		_, err := inside(t, enter.Config{Root: root, Mounts: []enter.Mount{proc()}}, "true")
		require.ErrorIs(t, err, unix.ELOOP)
		require.ErrorContains(t, err, "mount proc on /proc")
	})
	t.Run("dev", func(t *testing.T) { // CVE-2026-41579
		root := rootfs(t)
		require.NoError(t, os.Symlink(canary, filepath.Join(root, "dev")))
		_, _ = inside(t, enter.Config{Root: root, Devices: enter.DefaultDevices()}, "true")
		entries, err := os.ReadDir(canary)
		require.NoError(t, err)
		require.Empty(t, entries)
	})
	t.Run("null", func(t *testing.T) { // CVE-2025-31133
		root := rootfs(t)
		require.NoError(t, os.Mkdir(filepath.Join(root, "dev"), 0o755))
		require.NoError(t, os.Symlink("/key", filepath.Join(root, "dev/null")))
		require.NoError(t, os.WriteFile(filepath.Join(root, "key"), []byte("secret"), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(root, "masked"), []byte("masked"), 0o644))
		out, err := inside(t, enter.Config{Root: root, MaskedPaths: []string{"/masked"}}, "busybox cat /masked; busybox stat -c %F /masked")
		require.NoError(t, err)
		require.Equal(t, "character special file\n", out)
	})
}

func TestParseOptions(t *testing.T) {
	o := enter.ParseOptions([]string{"ro", "nosuid", "rw", "rbind", "rslave", "size=64k", "mode=755", "rro", "tmpcopyup"})
	require.Equal(t, enter.Options{
		Flags: unix.MS_NOSUID | unix.MS_BIND | unix.MS_REC, Clear: unix.MS_RDONLY, Propagation: []uintptr{unix.MS_SLAVE | unix.MS_REC},
		RecSet: unix.MOUNT_ATTR_RDONLY, Data: "size=64k,mode=755", CopyUp: true,
	}, o)
}

// Each word goes to one place: nothing is lost, nothing is told twice, and what contradicts itself ends as the last word says.
func FuzzParseOptions(f *testing.F) {
	for _, text := range []string{"ro,rw", "rbind,rro,rrw", "idmap=uids=0-1-2;gids=0-1-2", "size=64k,mode=755,tmpcopyup", "rnoatime,rstrictatime", ",,", "shared,rprivate"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Split(text, ",")
		o := enter.ParseOptions(list)
		require.Zero(t, o.Flags&o.Clear, "set and cleared at once")
		require.Zero(t, o.RecSet&o.RecClear&^unix.MOUNT_ATTR__ATIME, "set and cleared at once")
		twice := enter.ParseOptions(append(list, list...))
		require.Equal(t, [4]any{o.Flags, o.Clear, o.RecSet, o.RecClear}, [4]any{twice.Flags, twice.Clear, twice.RecSet, twice.RecClear}, "said twice is said once")
	})
}

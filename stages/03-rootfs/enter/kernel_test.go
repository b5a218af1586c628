package enter_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// mountRow is what the kernel says of one mount: its own options, its optional fields without numbers, and the file system's options.
type mountRow struct{ mount, fields, super string }

// mountTable reads mountinfo(5) by mount point; of several mounts on one the last counts.
func mountTable(text string) map[string]mountRow {
	all := map[string]mountRow{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) < dash+4 {
			continue
		}
		var fields []string
		for _, o := range f[6:dash] {
			kind, _, _ := strings.Cut(o, ":")
			fields = append(fields, kind)
		}
		all[f[4]] = mountRow{f[5], strings.Join(fields, " "), f[dash+3]}
	}
	return all
}

// newMountWords are options of a new tmpfs, and what the kernel then says. Each word stands behind the one that it takes back, where there is one.
func newMountWords() map[string]mountRow {
	own := func(mount string) mountRow { return mountRow{mount: mount} }
	super := func(super string) mountRow { return mountRow{mount: "rw,relatime", super: super} }
	return map[string]mountRow{
		"defaults": own("rw,relatime"), "ro": {mount: "ro,relatime"}, "ro,rw": own("rw,relatime"),
		"nosuid": own("rw,nosuid,relatime"), "nosuid,suid": own("rw,relatime"), "nodev": own("rw,nodev,relatime"), "nodev,dev": own("rw,relatime"),
		"noexec": own("rw,noexec,relatime"), "noexec,exec": own("rw,relatime"),
		"nosymfollow": own("rw,relatime,nosymfollow"), "nosymfollow,symfollow": own("rw,relatime"),
		"noatime": own("rw,noatime"), "noatime,atime": own("rw,relatime"), "noatime,relatime": own("rw,relatime"), "norelatime": own("rw,relatime"),
		"nodiratime": own("rw,nodiratime,relatime"), "nodiratime,diratime": own("rw,relatime"),
		"strictatime": own("rw"), "strictatime,nostrictatime": own("rw,relatime"), "strictatime,noatime": own("rw,noatime"), "noatime,strictatime": own("rw"),
		"sync": super("sync"), "sync,async": super("!sync"), "dirsync": super("dirsync"), "lazytime": super("lazytime"), "lazytime,nolazytime": super("!lazytime"),
		"silent": own("rw,relatime"), "silent,loud": own("rw,relatime"), "mand": own("rw,relatime"), "mand,nomand": own("rw,relatime"),
		"iversion": own("rw,relatime"), "iversion,noiversion": own("rw,relatime"),
		"size=64k,nr_inodes=7,mode=711": super("size=64k"), "size=128k,nr_inodes=9": super("nr_inodes=9"),
		"shared": {mount: "rw,relatime", fields: "shared"}, "shared,private": own("rw,relatime"), "unbindable": {mount: "rw,relatime", fields: "unbindable"},
		"rshared": {mount: "rw,relatime", fields: "shared"}, "rshared,rprivate": own("rw,relatime"), "runbindable": {mount: "rw,relatime", fields: "unbindable"},
		"rro": own("ro,relatime"), "rro,rrw": own("rw,relatime"), "rnosuid": own("rw,nosuid,relatime"), "rnosuid,rsuid": own("rw,relatime"),
		"rnodev": own("rw,nodev,relatime"), "rnodev,rdev": own("rw,relatime"), "rnoexec": own("rw,noexec,relatime"), "rnoexec,rexec": own("rw,relatime"),
		"rnodiratime": own("rw,nodiratime,relatime"), "rnodiratime,rdiratime": own("rw,relatime"), "rnoatime": own("rw,noatime"), "rnoatime,ratime": own("rw,relatime"),
		"rstrictatime": own("rw"), "rstrictatime,rnostrictatime": own("rw,relatime"), "rnoatime,rrelatime": own("rw,relatime"), "rnorelatime": own("rw,relatime"),
		"rnosymfollow": own("rw,relatime,nosymfollow"), "rnosymfollow,rsymfollow": own("rw,relatime"), "rnoatime,rstrictatime": own("rw"),
	}
}

// bindWords are options of a bind of a tree whose two mounts are ro,nosuid,nodev,noexec,noatime,nosymfollow: what the kernel says of the top,
// and of the one below it.
func bindWords() map[string][2]string {
	const all = "ro,nosuid,nodev,noexec,noatime,nosymfollow"
	return map[string][2]string{
		"bind": {all, ""}, "rbind": {all, all}, "bind,rw": {"rw,noatime", ""}, "rbind,rw": {"rw,noatime", all},
		"rbind,ro": {"ro,noatime", all}, "rbind,dev": {"rw,noatime", all}, "rbind,suid": {"rw,noatime", all},
		"rbind,nodev,exec":  {"rw,nodev,noatime", all},
		"rbind,strictatime": {"rw", all}, "rbind,relatime": {"rw,relatime", all}, "rbind,nodiratime": {"rw,nodiratime,relatime", all},
		"rbind,rrw":                         {"rw,nosuid,nodev,noexec,noatime,nosymfollow", "rw,nosuid,nodev,noexec,noatime,nosymfollow"},
		"rbind,rsuid,rdev,rexec,rsymfollow": {"ro,noatime", "ro,noatime"},
		"rbind,ratime":                      {"ro,nosuid,nodev,noexec,relatime,nosymfollow", "ro,nosuid,nodev,noexec,relatime,nosymfollow"},
		"rbind,rstrictatime":                {"ro,nosuid,nodev,noexec,nosymfollow", "ro,nosuid,nodev,noexec,nosymfollow"},
		"rbind,rro,rw":                      {"ro,noatime", all}, // the whole tree comes last, whatever comes last in the list: rro is a promise
	}
}

// name gives a directory for a list of options.
func name(options string) string {
	return "/m/" + strings.NewReplacer(",", "+", "=", "-").Replace(options)
}

// Every word of the specification, as the kernel says it back.
func TestEveryWordOnTheKernel(t *testing.T) {
	root := rootfs(t)
	source := restricted(t)
	var mounts []enter.Mount
	seen := map[string]bool{}
	add := func(m enter.Mount, options string) {
		for w := range strings.SplitSeq(options, ",") {
			seen[w] = true
		}
		m.Options = enter.ParseOptions(strings.Split(options, ","))
		mounts = append(mounts, m)
	}
	add(proc(), "nosuid")
	for options := range newMountWords() {
		add(enter.Mount{Source: "tmpfs", Type: "tmpfs", Target: name(options)}, options)
	}
	for options := range bindWords() {
		add(enter.Mount{Source: source, SourceIsDir: true, Target: name(options)}, options)
	}
	for _, options := range []string{"rbind,slave", "rbind,rslave"} {
		add(enter.Mount{Source: sharedDir(t), SourceIsDir: true, Target: name(options)}, options)
	}
	for _, step := range []string{"nosuid,noatime,size=64k", "remount,ro,nodev", "remount,rw,suid,strictatime"} {
		add(enter.Mount{Source: "tmpfs", Type: "tmpfs", Target: "/m/twice"}, step)
	}
	for _, step := range []string{"nosuid,size=64k", "remount,noexec,size=128k,sync"} {
		add(enter.Mount{Source: "tmpfs", Type: "tmpfs", Target: "/m/resized"}, step)
	}
	text, err := inside(t, enter.Config{Root: root, Mounts: mounts}, "busybox cat /proc/self/mountinfo")
	require.NoError(t, err)
	got := mountTable(text)
	for options, want := range newMountWords() {
		row := got[name(options)]
		require.Equal(t, want.mount, row.mount, options)
		require.Equal(t, want.fields, row.fields, options)
		super := strings.Split(row.super, ",")
		if word, not := strings.CutPrefix(want.super, "!"); want.super != "" {
			require.Equal(t, !not, slices.Contains(super, word), "%s: %s", options, row.super)
		}
	}
	for options, want := range bindWords() {
		require.Equal(t, want, [2]string{got[name(options)].mount, got[name(options)+"/below"].mount}, options)
	}
	require.Equal(t, "master", got[name("rbind,slave")].fields)
	require.Equal(t, "master", got[name("rbind,rslave")].fields)
	require.Equal(t, "rw,nodev", got["/m/twice"].mount)
	require.Equal(t, "rw,noexec,relatime", got["/m/resized"].mount)
	require.Contains(t, got["/m/resized"].super, "sync")
	require.Contains(t, got["/m/resized"].super, "size=128k")
	for _, w := range enter.OptionWords() {
		if w != "tmpcopyup" && w != "idmap" && w != "ridmap" { // which are more than an option: see their own tests
			require.True(t, seen[w], "no test of %q", w)
		}
	}
}

// restricted is a tmpfs with another below it, both with all restrictions.
func restricted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NOSYMFOLLOW
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	below := filepath.Join(dir, "below")
	require.NoError(t, os.Mkdir(below, 0o755))
	require.NoError(t, unix.Mount("tmpfs", below, "tmpfs", flags, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(below, 0)) })
	require.NoError(t, unix.Mount("", dir, "", flags|unix.MS_REMOUNT|unix.MS_BIND, ""))
	return dir
}

// sharedDir is a mount with peers.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, unix.Mount("", dir, "", unix.MS_SHARED, ""))
	return dir
}

// A mount shows its files, and with ridmap those of the mounts below it, with other owners.
func TestIDMapOnTheKernel(t *testing.T) {
	root, source := rootfs(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "f"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(source, "below"), 0o755))
	require.NoError(t, unix.Mount("tmpfs", filepath.Join(source, "below"), "tmpfs", 0, "mode=755"))
	defer func() { require.NoError(t, unix.Unmount(filepath.Join(source, "below"), 0)) }()
	for word, want := range map[string]string{"idmap": "1000:0", "ridmap": "1000:1000"} {
		o := enter.ParseOptions([]string{"rbind", word})
		require.Equal(t, word, o.IDMap)
		out, err := inside(t, enter.Config{Root: root, Mounts: []enter.Mount{proc(), {
			Source: source, Target: "/data", SourceIsDir: true, Options: o, IDs: &enter.IDs{Deep: word == "ridmap", Users: users(t)},
		}}}, "echo $(busybox stat -c %u /data/f):$(busybox stat -c %u /data/below); busybox grep -o idmapped /proc/self/mountinfo | busybox wc -l")
		if word == "ridmap" && errors.Is(err, unix.EINVAL) && !mapsTmpfs(t) {
			t.Skip("needs a kernel that maps the owners of a tmpfs (Linux 6.3)")
		}
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%s\n%d\n", want, 1+strings.Count(want, ":1000")), out, word)
	}
}

// mapsTmpfs tells it by the kernel's number: what is tested cannot judge itself.
func mapsTmpfs(t *testing.T) bool {
	t.Helper()
	var uts unix.Utsname
	require.NoError(t, unix.Uname(&uts))
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(uts.Release[:]), "%d.%d", &major, &minor)
	require.NoError(t, err)
	return major > 6 || major == 6 && minor >= 3
}

// users gives a user namespace whose root is 1000 outside.
func users(t *testing.T) func() (*os.File, error) {
	return func() (*os.File, error) {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}
		cmd := exec.CommandContext(t.Context(), "/bin/busybox", "cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
		return f, errors.Join(err, stdin.Close(), cmd.Wait())
	}
}

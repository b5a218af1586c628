package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestAStrangersConfig: whatever stands in a config.json, create gives one line that names the field or step and the cause, soon,
// and leaves nothing. An empty want means that it is valid after all.
func TestAStrangersConfig(t *testing.T) {
	if _, err := os.Stat("/bin/busybox"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and a static /bin/busybox")
	}
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	require.NoError(t, errors.Join(unix.Mkfifo(fifo, 0o600), os.WriteFile(file, nil, 0o600), os.Symlink("/nowhere", filepath.Join(dir, "dangling"))))
	long, deep := strings.Repeat("x", 5000), strings.Repeat("/d", 2040)
	mounted := func(destination, kind, source string, options ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: destination, Type: kind, Source: source, Options: options})
		}
	}
	for name, c := range map[string]struct {
		change func(*specs.Spec)
		want   string
	}{
		"mount on the root":        {mounted("/", "tmpfs", "tmpfs"), `mounts[7].destination: "/" is the root file system`},
		"mount on its parent":      {mounted("/a/../..", "tmpfs", "tmpfs"), `mounts[7].destination: "/a/../.." is the root file system`},
		"mount on nothing":         {mounted("", "tmpfs", "tmpfs"), "mounts[7].destination: it is missing"},
		"relative destination":     {mounted("rel/../rel2", "tmpfs", "tmpfs"), ""},
		"destination below a file": {mounted("/bin/sh/x", "tmpfs", "tmpfs"), "mount tmpfs on /bin/sh/x: not a directory"},
		"NUL in a destination":     {mounted("/x\x00/y", "tmpfs", "tmpfs"), `mounts[7].destination: a NUL character in`},
		"NUL in an option":         {mounted("/x", "tmpfs", "tmpfs", "size=1m\x00"), "mounts[7].options[0]: a NUL character in"},
		"destination too long":     {mounted("/"+long, "tmpfs", "tmpfs"), "mounts[7].destination: "},
		"component too long":       {mounted("/"+long[:300], "tmpfs", "tmpfs"), "file name too long"},
		"destination very deep":    {mounted(deep, "tmpfs", "tmpfs"), ""},
		"source too long":          {mounted("/x", "bind", "/"+long, "bind"), "mounts[7].source: "},
		"options too long":         {mounted("/x", "tmpfs", "tmpfs", long), "mounts[7].options: together they are longer than 4095 bytes"},
		"unknown file system":      {mounted("/x", "nofs", "x"), "mount nofs on /x: no such device"},
		"unknown option":           {mounted("/x", "tmpfs", "tmpfs", "nonsense"), "mount tmpfs on /x: invalid argument"},
		"no type":                  {mounted("/x", "", "x"), "mounts[7]: type: it is missing"},
		"source a FIFO":            {mounted("/x", "bind", fifo, "bind"), ""},
		"source dangling":          {mounted("/x", "bind", filepath.Join(dir, "dangling"), "bind"), "bind " + dir + "/dangling on /x: no such file or directory"},
		"source missing":           {mounted("/x", "bind", "/no/such", "bind"), "bind /no/such on /x: no such file or directory"},
		"directory on a file":      {mounted("/bin/sh", "bind", dir, "bind"), "bind " + dir + " on /bin/sh: not a directory"},
		"file on a directory":      {mounted("/bin", "bind", file, "bind"), "bind " + file + " on /bin: not a directory"},
		"100,000 mounts": {func(s *specs.Spec) {
			for i := range 100_000 {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: fmt.Sprint("/m", i), Type: "tmpfs"})
			}
		}, "mounts: 100007 entries are more than 10000"},
		"remount of nothing":         {mounted("/x", "", "", "remount", "ro"), "remount /x (ro): "},
		"rootfs a file":              {func(s *specs.Spec) { s.Root.Path = file }, "invalid rootfs: " + file + " is not a directory"},
		"rootfs a FIFO":              {func(s *specs.Spec) { s.Root.Path = fifo }, "is not a directory"},
		"rootfs missing":             {func(s *specs.Spec) { s.Root.Path = "nope" }, "invalid rootfs: stat "},
		"rootfs dangling":            {func(s *specs.Spec) { s.Root.Path = filepath.Join(dir, "dangling") }, "invalid rootfs: stat "},
		"rootfs empty":               {func(s *specs.Spec) { s.Root.Path = "" }, "root.path: it is missing"},
		"rootfs too long":            {func(s *specs.Spec) { s.Root.Path = long }, "root.path: "},
		"no root":                    {func(s *specs.Spec) { s.Root = nil }, "root.path: it is missing"},
		"no process":                 {func(s *specs.Spec) { s.Process = nil }, "process: it is missing"},
		"no linux":                   {func(s *specs.Spec) { s.Linux, s.Hostname = nil, "" }, ""},
		"no arguments":               {func(s *specs.Spec) { s.Process.Args = nil }, "process.args: they are missing"},
		"NUL in an argument":         {func(s *specs.Spec) { s.Process.Args[0] = "sh\x00" }, "process.args[0]: a NUL character in"},
		"NUL in the environment":     {func(s *specs.Spec) { s.Process.Env = []string{"A=\x00"} }, "process.env[0]: a NUL character in"},
		"arguments too long":         {func(s *specs.Spec) { s.Process.Args = []string{"sh", strings.Repeat("y", 1<<18)} }, "argument list too long"},
		"program a directory":        {func(s *specs.Spec) { s.Process.Args = []string{"/bin"} }, "permission denied"},
		"cwd relative":               {func(s *specs.Spec) { s.Process.Cwd = "x" }, "process.cwd: \"x\" is not an absolute path"},
		"cwd a file":                 {func(s *specs.Spec) { s.Process.Cwd = "/bin/sh" }, "chdir to /bin/sh: not a directory"},
		"cwd too long":               {func(s *specs.Spec) { s.Process.Cwd = "/" + long }, "process.cwd: "},
		"cwd very deep":              {func(s *specs.Spec) { s.Process.Cwd = deep }, ""},
		"hostname too long":          {func(s *specs.Spec) { s.Hostname = long }, "hostname: "},
		"hostname without namespace": {func(s *specs.Spec) { s.Linux.Namespaces = nil }, "hostname: it needs a uts namespace of its own"},
		"sysctl of the host":         {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "|/evil"} }, "linux.sysctl"},
		"sysctl upwards":             {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net/../kernel/core_pattern": "|/evil"} }, "linux.sysctl"},
		"sysctl with two in one": {func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"kernel.shm_rmid_forced": "1+kernel.core_pattern=|/evil"}
		}, `set kernel.shm_rmid_forced to `}, // CVE-2022-0811
		"masked path relative":   {func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"proc/kcore"} }, `linux.maskedPaths[0]: "proc/kcore" is not an absolute path`},
		"masked root":            {func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/"} }, `linux.maskedPaths[0]: "/" would hide all there is`},
		"readonly path relative": {func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"."} }, "linux.readonlyPaths[0]: "},
		"readonly path too long": {func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/" + long} }, "linux.readonlyPaths[0]: "},
		"device twice": {func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/x", Type: "c", Major: 1, Minor: 5}}
		}, ""},
		"device in place of the root": {func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/..", Type: "p"}} }, `linux.devices[0].path: "/dev/.." names no file`},
		"device relative":             {func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "x", Type: "p"}} }, "linux.devices[0].path: "},
		"device of no type":           {func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "z"}} }, "linux.devices[0].type: "},
		"device number negative":      {func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: -1}} }, "linux.devices[0]: -1:0 is no device number"},
		"device over a directory":     {func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/bin", Type: "p"}} }, "make pipe /bin (0:0): is a directory"},
		"namespace a FIFO":            {func(s *specs.Spec) { s.Linux.Namespaces[1].Path = fifo }, fifo + ": it is no namespace"},
		"namespace twice":             {func(s *specs.Spec) { s.Linux.Namespaces = append(s.Linux.Namespaces, s.Linux.Namespaces[0]) }, "stands twice"},
		"mapping of nothing":          {func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }, "linux.uidMappings: they need a user namespace"},
		"hook relative":               {func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "x"}}} }, "hooks.poststop[0].path: "},
		"NUL in a hook": {func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/x", Args: []string{"a", "b\x00"}}}}
		}, "hooks.poststop[0].args[1]: a NUL character in"},
		"NUL in an annotation":        {func(s *specs.Spec) { s.Annotations = map[string]string{"a": "\x00"} }, `annotations["a"]: a NUL character in`},
		"group upwards":               {func(s *specs.Spec) { s.Linux.CgroupsPath = "/../../.." }, "cgroup"},
		"more groups than the kernel": {func(s *specs.Spec) { s.Process.User.AdditionalGids = make([]uint32, 70000) }, "process.user.additionalGids: "},
		"version of the future":       {func(s *specs.Spec) { s.Version = "2.0.0" }, "ociVersion: 2.0.0 is not supported"},
	} {
		t.Run(name, func(t *testing.T) { stranger(t, c.change, c.want) })
	}
}

// TestAStrangersBundle: what stands in the place of config.json, and where the bundle lies.
func TestAStrangersBundle(t *testing.T) {
	if _, err := os.Stat("/bin/busybox"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and a static /bin/busybox")
	}
	for name, c := range map[string]struct {
		change func(b, config string) error
		want   string
	}{
		"a FIFO":      {func(_, config string) error { return unix.Mkfifo(config, 0o600) }, "config.json is not a regular file"},
		"a directory": {func(_, config string) error { return os.Mkdir(config, 0o700) }, "config.json is not a regular file"},
		"a device":    {func(_, config string) error { return os.Symlink("/dev/zero", config) }, "config.json is not a regular file"},
		"missing":     {func(string, string) error { return nil }, "config.json not found in"},
		"too large": {func(_, config string) error {
			return errors.Join(os.WriteFile(config, nil, 0o600), os.Truncate(config, 1<<30))
		}, "config.json is larger than 16 MiB"},
		"empty":          {func(_, config string) error { return os.WriteFile(config, nil, 0o600) }, "config.json: line 1, column 1: unexpected end of JSON input"},
		"null":           {func(_, config string) error { return os.WriteFile(config, []byte("null"), 0o600) }, "config.json: ociVersion: "},
		"very deep":      {func(_, config string) error { return os.WriteFile(config, []byte(strings.Repeat("[", 1<<20)), 0o600) }, "config.json: line 1, column "},
		"something else": {func(_, config string) error { return os.WriteFile(config, []byte(`{"process": 7}`), 0o600) }, "config.json: line 1, column 13: process: want specs.Process, found number"},
	} {
		t.Run(name, func(t *testing.T) {
			b := filepath.Join(t.TempDir(), "b")
			require.NoError(t, bundle(b))
			config := filepath.Join(b, "config.json")
			require.NoError(t, errors.Join(os.Remove(config), c.change(b, config)))
			out, err := runtimeCommand(t, "--root", filepath.Join(b, "root"), "create", "-b", b, "x")
			require.Error(t, err)
			require.Contains(t, strings.ReplaceAll(out, `\"`, `"`), c.want)
			require.NoDirExists(t, filepath.Join(b, "root/x"))
		})
	}
	t.Run("noexec", func(t *testing.T) {
		b := t.TempDir()
		require.NoError(t, unix.Mount("tmpfs", b, "tmpfs", unix.MS_NOEXEC, ""))
		defer func() { require.NoError(t, unix.Unmount(b, 0)) }()
		require.NoError(t, bundle(b))
		out, err := runtimeCommand(t, "--root", filepath.Join(t.TempDir(), "root"), "create", "-b", b, "x")
		require.Error(t, err)
		require.Contains(t, strings.ReplaceAll(out, `\"`, `"`), `exec: "sh": `)
	})
}

// stranger creates and starts a container over the command line.
func stranger(t *testing.T, change func(*specs.Spec), want string) {
	t.Helper()
	b := filepath.Join(t.TempDir(), "b")
	require.NoError(t, bundle(b))
	edit(t, filepath.Join(b, "config.json"), change)
	root, id := filepath.Join(filepath.Dir(b), "root"), fmt.Sprintf("stranger-%d-%d", os.Getpid(), time.Now().UnixNano())
	out, err := runtimeCommand(t, "--root", root, "create", "-b", b, id)
	if err == nil {
		out, err = runtimeCommand(t, "--root", root, "start", id)
		forced, err := runtimeCommand(t, "--root", root, "delete", "-f", id)
		require.NoError(t, err, forced)
	}
	if want == "" {
		require.NoError(t, err, out)
	} else {
		require.Error(t, err, "it was to be: "+want)
		require.Contains(t, strings.ReplaceAll(out, `\"`, `"`), want)
		require.Equal(t, 1, strings.Count(out, "\n"), out)
		require.Less(t, len(out), 1000, "the length of the error")
	}
	left, err := os.ReadDir(root)
	require.True(t, err == nil || os.IsNotExist(err), err)
	require.Empty(t, left, "state")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), b)
	groups, err := filepath.Glob("/sys/fs/cgroup/*/slipway/" + id)
	require.NoError(t, err)
	require.Empty(t, groups, "cgroups")
}

func edit(t *testing.T, name string, change func(*specs.Spec)) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	s := new(specs.Spec)
	require.NoError(t, json.Unmarshal(text, s))
	s.Root.Readonly = false
	s.Process.Args = []string{"sh", "-c", "exit 0"}
	change(s)
	text, err = json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, text, 0o644))
}

// runtimeCommand runs this program under the command's name.
func runtimeCommand(t *testing.T, args ...string) (stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(t.TempDir(), "slipway-runtime"), args...)
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, cmd.Path))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	cmd.Stdin = null
	out := filepath.Join(t.TempDir(), "err") // a pipe would be held open by the container
	f, err := os.Create(out)
	require.NoError(t, err)
	defer f.Close()
	cmd.Stderr = f
	err = cmd.Run()
	text, readErr := os.ReadFile(out)
	require.NoError(t, readErr)
	return string(text), err
}

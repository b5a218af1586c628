package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// parent is the cgroup that those of the tests lie in. In another pid namespace somebody may have our number.
var parent = func() string {
	space, _ := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	return fmt.Sprintf("/slipway-test-%d-%s", os.Getpid(), strings.Trim(space, "pid:[]"))
}()

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "swrk" {
		if err := fakeCRIU(); err != nil {
			fmt.Fprintln(os.Stderr, "fake criu:", err)
			os.Exit(1)
		}
		return
	}
	if order := os.Getenv(dieEnv); order != "" {
		if err := beTheOneThatDies(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if code, done := apart(); done {
		os.Exit(code)
	}
	code := m.Run()
	if layout, err := cgroup.Detect(); err == nil && os.Geteuid() == 0 {
		group, err := layout.Group(parent)
		if err == nil {
			err = group.Remove(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// apart runs the tests again in a mount namespace of their own, in which / is shared as on a host: some mount on the "host".
func apart() (code int, done bool) {
	const inside = "SLIPWAY_TEST_APART"
	if os.Geteuid() != 0 {
		return 0, false
	}
	if os.Getenv(inside) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			fmt.Fprintln(os.Stderr, "share / again:", err)
			return 2, true
		}
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), inside+"=1"), os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // os/exec makes / private
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 2, true
	}
	return cmd.ProcessState.ExitCode(), true
}

// place is where a test's containers live.
type place struct {
	*runtime.Runtime
	dir      string // of the runtime
	out      string // shown as /out inside
	warnings []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := os.Stat("/bin/busybox"); err != nil {
		t.Skip("needs a static /bin/busybox")
	}
	if _, err := cgroup.Detect(); err != nil {
		t.Skip("needs cgroups")
	}
	p := &place{dir: t.TempDir(), out: t.TempDir()}
	require.NoError(t, os.Chmod(p.out, 0o777))
	require.NoError(t, os.Chmod(filepath.Dir(p.out), 0o755)) // a user namespace's root is an ordinary user on the way there
	root, err := state.Open(p.dir)
	require.NoError(t, err)
	p.Runtime = runtime.New(root, func(w string) { p.warnings = append(p.warnings, w) })
	return p
}

// bundle makes a bundle whose program is a shell script, changed as the test wants it.
func (p *place) bundle(t *testing.T, script string, change func(*specs.Spec)) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)))
	for _, d := range []string{"bin", "proc", "etc", "tmp", "dev", "sys", "out"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "rootfs", d), 0o755))
	}
	text, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rootfs/bin/busybox"), text, 0o755))
	for _, name := range []string{"sh", "cat", "id", "ls", "sleep", "true", "grep", "touch", "hostname", "test", "kill", "echo", "readlink"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(dir, "rootfs/bin", name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rootfs/etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), 0o644))
	s := spec.Example()
	s.Process.Terminal, s.Process.Args = false, []string{"sh", "-c", script}
	s.Root.Readonly = false
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/out", Type: "bind", Source: p.out, Options: []string{"rbind"}})
	s.Linux.CgroupsPath = parent + "/" + filepath.Base(dir) + filepath.Base(filepath.Dir(dir))
	if change != nil {
		change(s)
	}
	config, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644))
	return dir
}

// create makes a container and removes it when the test ends.
func (p *place) create(t *testing.T, bundle string) {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Delete(context.Background(), "c", true))
		_, _ = proc.Wait() // a test may have waited already
		require.NoError(t, proc.Close())
	})
}

// run creates and starts a container and waits for its end.
func (p *place) run(t *testing.T, script string, change func(*specs.Spec)) (out string, status int) {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "r", Bundle: p.bundle(t, script, change)})
	require.NoError(t, err)
	defer proc.Close()
	require.NoError(t, p.Start(t.Context(), "r"))
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.NoError(t, p.Delete(t.Context(), "r", false))
	text, err := os.ReadFile(filepath.Join(p.out, "out"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return string(text), ws.ExitStatus()
}

func (p *place) status(t *testing.T) lifecycle.Status {
	t.Helper()
	v, err := p.State("c")
	require.NoError(t, err)
	return v.Status
}

package runtime_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// TestNothingIsLeftOfAFailure breaks create in many places and looks for leftovers.
func TestNothingIsLeftOfAFailure(t *testing.T) {
	p := newPlace(t)
	for name, c := range map[string]struct {
		change func(*specs.Spec)
		want   string
	}{
		"missing program":   {func(s *specs.Spec) { s.Process.Args = []string{"nope"} }, `unable to start container process: exec: "nope": executable file not found in $PATH`},
		"missing path":      {func(s *specs.Spec) { s.Process.Args = []string{"/nope"} }, `unable to start container process: exec: "/nope": stat /nope: no such file or directory`},
		"not executable":    {func(s *specs.Spec) { s.Process.Args = []string{"/etc/passwd"} }, `unable to start container process: exec: "/etc/passwd": permission denied`},
		"missing rootfs":    {func(s *specs.Spec) { s.Root.Path = "/no/such/root" }, `invalid rootfs: stat /no/such/root: no such file or directory`},
		"unknown namespace": {func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "galaxy" }, `config.json: linux.namespaces[0].type: unknown namespace "galaxy"`},
		"missing source": {func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Source: "/no/such", Options: []string{"bind"}})
		}, "unable to start container process: error during container init: error mounting: bind /no/such on /x: no such file or directory"},
		"bad file system":  {func(s *specs.Spec) { s.Mounts[1].Type = "nofs" }, "unable to start container process: error during container init: error mounting: mount nofs on /dev (nosuid): no such device"},
		"bad sysctl value": {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "maybe"} }, `unable to start container process: set net.ipv4.ip_forward to "maybe": invalid argument`},
		"failing hook": {func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}}
		}, "unable to start container process: run 1 prestart and createRuntime hooks: error running createRuntime hook #0: /bin/false: exit status 1"},
		"failing hook inside": {func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/false"}}}
		}, "unable to start container process: run 1 createContainer hooks: error running createContainer hook #0: /bin/false: exit status 1: "},
		"bad seccomp":       {func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOPE"} }, `linux.seccomp: defaultAction: unknown action "SCMP_ACT_NOPE"`},
		"no such namespace": {func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/no/such/ns" }, "unable to start container process: open network namespace /no/such/ns: /no/such/ns: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			for pid := 1; pid > 0; { // what other tests have left to their subreaper
				pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
			}
			var path string
			bundle := p.bundle(t, "true", func(s *specs.Spec) { c.change(s); path = s.Linux.CgroupsPath })
			_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
			require.EqualError(t, err, c.want)
			entries, err := os.ReadDir(p.dir)
			if !os.IsNotExist(err) {
				require.NoError(t, err)
			}
			require.Empty(t, entries, "state directories")
			layout, err := cgroup.Detect()
			require.NoError(t, err)
			group, err := layout.Group(path)
			require.NoError(t, err)
			require.False(t, group.Exists(), "cgroup "+path)
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			require.NoError(t, err)
			require.NotContains(t, string(mounts), filepath.Dir(bundle))
			pid, _ := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			require.LessOrEqual(t, pid, 0, "processes")
		})
	}
}

func TestACreateThatWasKilledIsClearedUp(t *testing.T) {
	p := newPlace(t)
	require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "c"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "c/state.json"), []byte(`{"id":"c","bundle":"/b"}`), 0o600))
	require.Equal(t, lifecycle.Creating, p.status(t))
	require.EqualError(t, p.Delete(t.Context(), "c", false), "cannot delete container that is not stopped: creating")
	require.NoError(t, p.Delete(t.Context(), "c", true))
	require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "c"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "c/state.json"), []byte(`{"id":"c`), 0o600))
	require.NoError(t, p.Delete(t.Context(), "c", true), "a torn record does not make it immortal")
	require.Len(t, p.warnings, 1)
}

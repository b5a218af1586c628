package runtime_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

func useFake(t *testing.T) runtime.CRIUOptions {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return runtime.CRIUOptions{Program: self, ImagePath: filepath.Join(t.TempDir(), "images"), Cgroups: criu.DefaultCgroups}
}

// asked is what the fake was asked for: fields of criu_opts.
func asked(t *testing.T, o runtime.CRIUOptions, kind criu.Type) fields {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.ImagePath, "request-"+strconv.Itoa(int(kind))))
	require.NoError(t, err)
	return parse(text)
}

func (p *place) running(t *testing.T, id, bundle string) *runtime.View {
	t.Helper()
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: id, Bundle: bundle})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Delete(t.Context(), id, true)) //nolint:usetesting // the cleanup of a test that may have been cancelled
		_, _ = proc.Wait()
		_ = proc.Close()
	})
	require.NoError(t, p.Start(t.Context(), id))
	v, err := p.State(id)
	require.NoError(t, err)
	return v
}

func bind(source, target string, options ...string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: target, Options: append([]string{"bind"}, options...)}
}

// linked is a bundle with a mount point behind a link, and a mount that may only be read.
func (p *place) linked(t *testing.T, change func(*specs.Spec)) (bundle, conf string) {
	t.Helper()
	conf = t.TempDir()
	bundle = p.bundle(t, "sleep 1000", func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, bind(conf, "/conf", "ro"))
		if change != nil {
			change(s)
		}
	})
	require.NoError(t, os.MkdirAll(filepath.Join(bundle, "rootfs/real/conf"), 0o755))
	require.NoError(t, os.Symlink("/real/conf", filepath.Join(bundle, "rootfs/conf")))
	return bundle, conf
}

func TestCheckpointNamesMountsByTheConfiguration(t *testing.T) {
	p, o := newPlace(t), useFake(t)
	bundle, _ := p.linked(t, nil)
	before := p.running(t, "a", bundle)
	require.NoError(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, LeaveRunning: true, StatusFD: -1}))
	req := asked(t, o, criu.Dump)
	require.Equal(t, before.PID, req.number(2))
	require.Equal(t, before.Rootfs, req[13][0])
	mounts := req.pairs(23)
	require.Equal(t, "/conf", mounts["/real/conf"], "the point is the kernel's, the name config.json's")
	require.Equal(t, "/out", mounts["/out"])
	require.Equal(t, "/dev/null", mounts["/proc/timer_list"], "a masked file")
	require.NotContains(t, mounts, "/conf")
	require.NotContains(t, mounts, "/proc/acpi", "a masked directory is the container's own")
	require.Equal(t, "1", req[3][0], "leave_running")
	descriptors, err := os.ReadFile(filepath.Join(o.ImagePath, "descriptors.json"))
	require.NoError(t, err)
	require.Regexp(t, `^\[".*",".*",".*"\]$`, string(descriptors))
	status, err := p.State("a")
	require.NoError(t, err)
	require.Equal(t, lifecycle.Running, status.Status)

	require.NoError(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}))
	_, err = p.State("a")
	require.ErrorIs(t, err, state.ErrNotExist, "it has gone into the files")
}

func TestCheckpointRefusesWhatWouldConfuseARestore(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*specs.Spec)
		inside string // what the container does before
		want   string
	}{
		{"two mounts at one place", func(s *specs.Spec) { s.Mounts = append(s.Mounts, bind("/usr", "/real/conf")) }, "", "the path leads to the mount at /real/conf, which does not show "},
		{"two mounts on one path", func(s *specs.Spec) { s.Mounts = append(s.Mounts, bind("/usr", "/conf/")) }, "", "two mounts on /conf: criu cannot tell them apart"},
		{"a name that ends a name", func(s *specs.Spec) { s.Mounts = append(s.Mounts, bind("/usr", "/x]:/etc")) }, "", `path "/x]:/etc" cannot be a name for criu`},
		{"a link that was moved", nil, "busybox rm /conf; busybox ln -s /out /conf", "the path leads to the mount at /out, which does not show "},
		{"a link to nothing that is mounted", nil, "busybox rm /conf; busybox ln -s /etc /conf", "external mount /conf: nothing is mounted there"},
		{"a link to a mount that shows something else", nil, "busybox rm /conf; busybox ln -s /dev /conf", "the path leads to the mount at /dev, which does not show "},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, o := newPlace(t), useFake(t)
			bundle, _ := p.linked(t, row.change)
			p.running(t, "a", bundle)
			if row.inside != "" {
				proc, err := p.Exec(t.Context(), runtime.ExecOptions{ID: "a", Process: func(s *specs.Process) (*specs.Process, error) {
					c := *s
					c.Args = []string{"sh", "-c", row.inside}
					return &c, nil
				}})
				require.NoError(t, err)
				ws, err := proc.Wait()
				require.NoError(t, err)
				require.Zero(t, ws.ExitStatus())
				require.NoError(t, proc.Close())
			}
			err := p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1})
			require.ErrorContains(t, err, row.want)
			require.NoFileExists(t, filepath.Join(o.ImagePath, "request-1"))
			v, err := p.State("a")
			require.NoError(t, err)
			require.Equal(t, lifecycle.Running, v.Status, "it goes on")
		})
	}
}

func TestCheckpointOfWhatDoesNotRun(t *testing.T) {
	p, o := newPlace(t), useFake(t)
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "a", Bundle: p.bundle(t, "true", nil)})
	require.NoError(t, err)
	defer proc.Close()
	err = p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1})
	require.EqualError(t, err, "Container cannot be checkpointed in created state")
	require.NoError(t, p.Delete(t.Context(), "a", true))
	require.ErrorIs(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}), state.ErrNotExist)
}

func TestCheckpointChecksItsPaths(t *testing.T) {
	p, o := newPlace(t), useFake(t)
	p.running(t, "a", p.bundle(t, "sleep 1000", nil))
	for parent, want := range map[string]string{"/abs": "--parent-path must be relative", "../none": "invalid --parent-path: "} {
		err := p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, ParentPath: parent, StatusFD: -1})
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, PreDump: true, StatusFD: -1}))
	require.Equal(t, "1", asked(t, o, criu.PreDump)[15][0], "track_mem")
	o.Program = "/no/criu"
	require.ErrorIs(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}), unix.ENOENT)
}

func TestRestore(t *testing.T) {
	p, o := newPlace(t), useFake(t)
	bundle, conf := p.linked(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, bind(p.out, "/made/here"))
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >" + p.out + "/hook"}}}}
	})
	p.running(t, "a", bundle)
	require.NoError(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}))
	require.NoError(t, os.Remove(filepath.Join(p.out, "hook")))
	require.NoError(t, os.RemoveAll(filepath.Join(bundle, "rootfs/made")), "the mount point has gone since")

	pidFile := filepath.Join(p.out, "pid")
	proc, err := p.Restore(t.Context(), runtime.RestoreOptions{CRIUOptions: o, ID: "b", Bundle: bundle, PIDFile: pidFile})
	require.NoError(t, err)
	defer proc.Close()
	v, err := p.State("b")
	require.NoError(t, err)
	require.Equal(t, lifecycle.Running, v.Status)
	require.Equal(t, proc.PID(), v.PID)
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(v.PID), string(text))
	require.FileExists(t, filepath.Join(p.out, "hook"))
	require.DirExists(t, filepath.Join(bundle, "rootfs/made/here"))
	pids, err := p.Pids("b")
	require.NoError(t, err)
	require.Equal(t, []int{v.PID}, pids, "it is in the container's cgroup")

	req := asked(t, o, criu.Restore)
	require.Equal(t, conf, req.pairs(23)["/conf"])
	require.Equal(t, p.out, req.pairs(23)["/out"])
	require.Equal(t, "1", req[26][0], "rst_sibling")
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs("/proc/"+strconv.Itoa(v.PID)+"/root/real/conf", &st))
	require.NotZero(t, st.Flags&unix.ST_RDONLY, "what is bound from it is read-only from the beginning")
	host, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.False(t, bytes.Contains(host, []byte("criu-root")), "nothing of it is seen on the host")

	require.NoError(t, p.Delete(t.Context(), "b", true))
	ws, err := proc.Wait()
	require.NoError(t, err)
	require.Equal(t, unix.SIGKILL, ws.Signal())
}

func TestRestoreThatFailsLeavesNothing(t *testing.T) {
	for _, row := range []struct{ mode, want string }{
		{"fail", "criu failed: type RESTORE errno 5"},
		{"evil", "config.json says ro, the images made it writable"},
	} {
		t.Run(row.mode, func(t *testing.T) {
			p, o := newPlace(t), useFake(t)
			bundle, _ := p.linked(t, nil)
			require.NoError(t, os.Mkdir(o.ImagePath, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(o.ImagePath, "mode"), []byte(row.mode), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(o.ImagePath, "descriptors.json"), []byte(`["pipe:[12]","/dev/null","pipe:[x]","pipe:[13]"]`), 0o600))
			_, err := p.Restore(t.Context(), runtime.RestoreOptions{CRIUOptions: o, ID: "b", Bundle: bundle})
			require.ErrorContains(t, err, row.want)
			inherited := asked(t, o, criu.Restore)[27]
			require.Len(t, inherited, 1, "only pipes that the standard streams were")
			require.Equal(t, []string{"pipe:[12]"}, parse([]byte(inherited[0]))[1])
			_, err = p.State("b")
			require.ErrorIs(t, err, state.ErrNotExist)
			left, err := os.ReadDir(p.dir)
			require.NoError(t, err)
			require.Empty(t, left)
			layout, err := cgroup.Detect()
			require.NoError(t, err)
			group, err := layout.Group(parent + "/" + filepath.Base(bundle) + filepath.Base(filepath.Dir(bundle)))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return !group.Exists() }, 5*time.Second, 10*time.Millisecond)
		})
	}
}

// TestCheckpointAndRestoreForReal needs criu(8) itself, and a kernel that it understands.
func TestCheckpointAndRestoreForReal(t *testing.T) {
	p, o := newPlace(t), useFake(t)
	program, err := exec.LookPath("criu")
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second) // it talks to itself by TCP, for two minutes if lo is down
	defer cancel()
	check := exec.CommandContext(soon, program, "check")
	check.Dir = t.TempDir() // for its log
	if err != nil || check.Run() != nil {
		t.Skip("needs a criu that works on this kernel")
	}
	o.Program = program
	silence(t)
	counted := func(id string) int {
		v, err := p.State(id)
		require.NoError(t, err)
		text, err := os.ReadFile("/proc/" + strconv.Itoa(v.PID) + "/root/dev/shm/n")
		if err != nil {
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}
	bundle, _ := p.linked(t, func(s *specs.Spec) {
		for i, m := range s.Mounts { // as Docker's; of a directory that is a slave of the host's criu before 3.18 can restore none (its issue 1898)
			if slices.ContainsFunc(m.Options, func(o string) bool { return o == "bind" || o == "rbind" }) {
				s.Mounts[i].Options = append(slices.Clone(m.Options), "rprivate")
			}
		}
		s.Process.Args = []string{"sh", "-c", "busybox mkfifo /dev/shm/f; exec 3<>/dev/shm/f; while :; do i=$((i+1)); echo $i >/dev/shm/n; read -t 1 a <&3; done"}
	})
	p.running(t, "a", bundle)
	require.Eventually(t, func() bool { return counted("a") >= 3 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, p.Checkpoint(t.Context(), "a", runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}))
	_, err = p.State("a")
	require.ErrorIs(t, err, state.ErrNotExist)
	for _, id := range []string{"b", "c"} { // the second one from what was restored itself
		proc, err := p.Restore(t.Context(), runtime.RestoreOptions{CRIUOptions: o, ID: id, Bundle: bundle})
		require.NoError(t, err)
		before := counted(id)
		require.GreaterOrEqual(t, before, 3, "it goes on, it does not begin")
		require.Eventually(t, func() bool { return counted(id) > before }, time.Minute, 10*time.Millisecond)
		pids, err := p.Pids(id)
		require.NoError(t, err)
		require.Contains(t, pids, proc.PID())
		require.NoError(t, p.Checkpoint(t.Context(), id, runtime.CheckpointOptions{CRIUOptions: o, StatusFD: -1}))
		_, _ = proc.Wait()
		require.NoError(t, proc.Close())
	}
}

// silence gives the containers of a test /dev/null as their standard streams: a file of the host's could not be named in a checkpoint.
func silence(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	require.NoError(t, err)
	for fd := range 3 {
		saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		require.NoError(t, err)
		require.NoError(t, unix.Dup3(int(null.Fd()), fd, 0))
		t.Cleanup(func() { _ = unix.Dup3(saved, fd, 0); _ = unix.Close(saved) })
	}
	require.NoError(t, null.Close())
}

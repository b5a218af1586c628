package snapshot_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot/snapshottest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOverlay(t *testing.T) {
	snapshottest.Run(t, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewOverlay(dir) })
}

func TestCopy(t *testing.T) {
	snapshottest.Run(t, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewCopy(dir) })
}

// memory gives a directory where a sync costs nothing.
func memory(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: real mounts")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

// The same where the kernel cannot map a mount.
func TestOverlayShifted(t *testing.T) {
	snapshottest.RunBelow(t, memory(t), func(dir string) (snapshot.Snapshotter, error) {
		return snapshot.NewOverlay(dir, snapshot.ShiftOwners())
	})
}

func TestCopyShifted(t *testing.T) {
	snapshottest.RunBelow(t, memory(t), func(dir string) (snapshot.Snapshotter, error) {
		return snapshot.NewCopy(dir, snapshot.ShiftOwners())
	})
}

// always asks for a map with each snapshot, and hides that it does.
type always struct {
	snapshot.Snapshotter
	ids string
}

func (a always) labels(labels map[string]string) map[string]string {
	all := map[string]string{snapshot.LabelUIDMap: a.ids, snapshot.LabelGIDMap: a.ids}
	maps.Copy(all, labels)
	return all
}

func (a always) Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]snapshot.Mount, error) {
	return a.Snapshotter.Prepare(ctx, key, parent, a.labels(labels))
}

func (a always) View(ctx context.Context, key, parent string, labels map[string]string) ([]snapshot.Mount, error) {
	return a.Snapshotter.View(ctx, key, parent, a.labels(labels))
}

func (a always) hidden(i snapshot.Info, err error) (snapshot.Info, error) {
	delete(i.Labels, snapshot.LabelUIDMap)
	delete(i.Labels, snapshot.LabelGIDMap)
	return i, err
}

func (a always) Stat(ctx context.Context, key string) (snapshot.Info, error) {
	return a.hidden(a.Snapshotter.Stat(ctx, key))
}

func (a always) Update(ctx context.Context, info snapshot.Info, paths ...string) (snapshot.Info, error) {
	return a.hidden(a.Snapshotter.Update(ctx, info, paths...))
}

// All that holds for a snapshot holds for one with a map: here ids are mapped to themselves, and there to others that no file has.
func TestMappedAndShiftedAreSnapshots(t *testing.T) { // on disk: kernels before 6.3 do not map a tmpfs
	t.Run("mapped overlay", func(t *testing.T) {
		snapshottest.RunBelow(t, t.TempDir(), func(dir string) (snapshot.Snapshotter, error) {
			s, err := snapshot.NewOverlay(dir)
			return always{s, "0:0:65536"}, err
		})
	})
	t.Run("mapped copy", func(t *testing.T) {
		snapshottest.RunBelow(t, t.TempDir(), func(dir string) (snapshot.Snapshotter, error) {
			s, err := snapshot.NewCopy(dir)
			return always{s, "0:0:65536"}, err
		})
	})
	t.Run("shifted overlay", func(t *testing.T) {
		snapshottest.RunBelow(t, memory(t), func(dir string) (snapshot.Snapshotter, error) {
			s, err := snapshot.NewOverlay(dir, snapshot.ShiftOwners())
			return always{s, "300000:400000:1000"}, err
		})
	})
}

// A kernel that maps mounts is used: nothing on disk has other owners.
func TestMappedMountsLeaveTheDiskAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: real mounts")
	}
	dir := t.TempDir()
	s, err := snapshot.NewOverlay(dir)
	require.NoError(t, err)
	defer s.Close()
	labels := map[string]string{snapshot.LabelUIDMap: "0:100000:65536", snapshot.LabelGIDMap: "0:100000:65536"}
	_, err = s.Prepare(t.Context(), "one", "", nil)
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), "base", "one", nil))
	ms, err := s.Prepare(t.Context(), "web", "base", labels)
	require.NoError(t, err)
	if options := strings.Join(ms[0].Options, " "); !strings.Contains(options, "uidmap=0:100000:65536 gidmap=0:100000:65536") {
		t.Skip("needs a kernel that maps the layers of an overlay (Linux 5.19): the owners were changed on disk")
	}
	var st unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(dir, "snapshots/2/fs"), &st))
	require.Zero(t, st.Uid)
	before, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	at := t.TempDir()
	require.NoError(t, snapshot.MountAll(ms, at))
	after, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(before), "\n")+1, strings.Count(string(after), "\n"), "one mount, and no helpers of it")
	require.NoError(t, snapshot.UnmountAll(at))
}

const inside = "SLIPWAY_SNAPSHOT_IN_USER_NAMESPACE"

// The same suite as root of a user namespace, who may mount overlays (Linux 5.11) but neither make devices nor set trusted attributes.
func TestOverlayInAUserNamespace(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		t.Skip("needs root: a user namespace with many ids")
	}
	dir, err := os.MkdirTemp("/var/tmp", "slipway-test-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chown(dir, 100000, 100000))
	test := filepath.Join(dir, "test") // ours may lie where the other root may not go
	binary, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(test, binary, 0o755))
	cmd := exec.CommandContext(t.Context(), test, "-test.run", "^(TestOverlay|TestCopy)$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), inside+"=1", "TMPDIR="+dir, "HOME="+dir)
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{}, GidMappingsEnableSetgroups: true,
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestOverlay/a_child_hides_what_it_removes")
	require.Contains(t, string(out), "--- PASS: TestCopy/attributes_survive")
}

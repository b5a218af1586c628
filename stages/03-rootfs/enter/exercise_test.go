package enter_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// TestPivot is the exercise rootfs.pivot.
func TestPivot(t *testing.T) {
	root := rootfs(t)
	var slots enter.Slots
	_, err := enter.New(enter.Config{Root: root}, &slots).Pivot()
	teach.Begun(t, err)
	const title = "the host's files cannot be named after the switch"
	const did = "entered a root file system in a new mount namespace and asked a shell in it for its mounts"
	const read = "docs/03-rootfs.md#pivot    man 2 pivot_root, NOTES"
	out, err := inside(t, enter.Config{Root: root, Mounts: []enter.Mount{proc()}}, "busybox cat /proc/self/mountinfo")
	step, failed := errors.AsType[*launch.StepError](err)
	switch {
	case failed && strings.HasPrefix(step.Step, "pivot_root") && (errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EINVAL)):
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.pivot", Code: "FS-PIVOT-2", Title: title, Did: did,
			Saw: "pivot_root: " + step.Err.Error(), Want: "no error, and two mounts: / and /proc",
			Means: "the dot is the working directory. It is still the root of the host, and a root cannot be exchanged for itself (EBUSY, or EINVAL where it has no parent). The new root is a mount point already and a register holds its descriptor.",
			Try:   "unshare -m sh -c 'mount --bind /tmp /tmp; pivot_root . .' and then the same with 'cd /tmp' before it",
			Read:  read,
		})
	case failed && strings.HasPrefix(step.Step, "unmount"), !failed && strings.Count(out, "\n") != 2:
		saw := strings.TrimSpace(out)
		if failed {
			saw = "the step after yours could not unmount the old root: " + step.Err.Error()
		}
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.pivot", Code: "FS-PIVOT-1", Title: title, Did: did,
			Saw: saw, Want: "two mounts: / and /proc",
			Means: "the namespace's root mount is still the host's: chroot(2) changes where a process looks up paths, not what is mounted where, so letting the old root go takes the new one, which hangs below it, along. A process with CAP_SYS_CHROOT gets out of a chroot in three calls.",
			Try:   "unshare -m sh -c 'chroot /tmp/root /bin/busybox cat /proc/self/mountinfo' and count the host's mounts",
			Read:  read,
		})
	}
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(out, "\n"), out)
	sharedStays(t, root, title, read)
}

// sharedStays looks at a container that shares its mounts with the host on purpose (docker run -v a:b:shared).
func sharedStays(t *testing.T, root, title, read string) {
	t.Helper()
	out, err := inside(t, enter.Config{
		Root: root, Propagation: unix.MS_SHARED, ParentMount: mountOf(t, root), Mounts: []enter.Mount{proc(), {
			Source: t.TempDir(), Target: "/data", SourceIsDir: true, Options: enter.ParseOptions([]string{"rbind", "rshared"}),
		}},
	}, "busybox grep ' /data ' /proc/self/mountinfo")
	require.NoError(t, err)
	if !strings.Contains(out, "shared:") {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.pivot", Code: "FS-PIVOT-3", Title: title,
			Did:   "entered with /data mounted rshared, and read its line in /proc/self/mountinfo",
			Saw:   "no shared: among its fields",
			Want:  "shared:N",
			Means: "the next step makes the old root a slave, recursively, before it unmounts it, and starts at the working directory. After pivot_root that is still the new root: its mounts lost their peers. Go to the old root first; once it is stacked below, only a descriptor taken before can name it.",
			Try:   "in a new mount namespace: cd to the new root, pivot_root . . , findmnt -o TARGET,PROPAGATION",
			Read:  read,
		})
	}
}

// mountOf is the mount that a path lies on: /tmp is one of its own on many machines.
func mountOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	longest := "/"
	for line := range strings.Lines(string(text)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(path, at+"/") && len(at) > len(longest) {
			longest = at
		}
	}
	return longest
}

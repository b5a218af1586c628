package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// bound binds this thread to processor 0 and gives its old mask back: a supervisor that keeps to one.
func bound(t *testing.T) (all string) {
	t.Helper()
	var old, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(os.Getpid(), &old))
	if old.Count() < 2 {
		t.Skip("needs two processors")
	}
	one.Set(0)
	threads, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	all = allowed(t, "/proc/self/status")
	for _, th := range threads {
		tid := 0
		for _, d := range th.Name() {
			tid = tid*10 + int(d-'0')
		}
		require.NoError(t, unix.SchedSetaffinity(tid, &one))
		t.Cleanup(func() { _ = unix.SchedSetaffinity(tid, &old) }) // the thread may be gone
	}
	return all
}

func allowed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:\t")
	list, _, _ := strings.Cut(rest, "\n")
	return list
}

// TestAffinity: a container runs wherever its cgroup lets it, whatever its runtime is bound to; exec's processes where they ask.
func TestAffinity(t *testing.T) {
	p := newPlace(t)
	all := bound(t)
	p.create(t, p.bundle(t, "cat /proc/self/status >/out/status; echo >/out/done; sleep 1000", nil))
	require.NoError(t, p.Start(t.Context(), "c"))
	waitForFile(t, filepath.Join(p.out, "done"))
	require.Equal(t, all, allowed(t, filepath.Join(p.out, "status")))
	for final, want := range map[string]string{"": all, "1": "1"} {
		_, err := p.exec(t, func(pr *specs.Process) { pr.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0", Final: final} }, "sh", "-c", "cat /proc/self/status >/out/status")
		require.NoError(t, err)
		require.Equal(t, want, allowed(t, filepath.Join(p.out, "status")))
	}
	_, err := p.exec(t, func(pr *specs.Process) { pr.ExecCPUAffinity = &specs.CPUAffinity{Final: "x"} }, "true")
	require.ErrorContains(t, err, `process.execCPUAffinity.final: "x" is no list of processors`)
}

// TestADeadlineNeedsEveryProcessor (sched_setattr(2), EPERM).
func TestADeadlineNeedsEveryProcessor(t *testing.T) {
	p := newPlace(t)
	bound(t)
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "d", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 42000, Deadline: 1000000, Period: 1000000}
		s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}}
	})})
	require.ErrorContains(t, err, "process scheduler can't be used together with AllowedCPUs")
}

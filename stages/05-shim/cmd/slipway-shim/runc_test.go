package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	v2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/05-shim/record"
)

// newRuncHost makes a bundle with a busybox root file system for a real runtime:
// $OCI_RUNTIME, or runc.
func newRuncHost(t *testing.T, terminal bool, script string) *host {
	t.Helper()
	name := os.Getenv("OCI_RUNTIME")
	if name == "" {
		name = "runc"
	}
	runtime, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs runc")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	h := newHost(t, script, nil)
	h.runtime = runtime
	h.id = "slipway-shim-test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(int(time.Now().UnixNano()%1e6))
	busybox(t, filepath.Join(h.bundle, "rootfs"))
	config := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"terminal": terminal, "user": map[string]int{"uid": 0, "gid": 0}, "cwd": "/",
			"args": []string{"/bin/sh", "-c", script}, "env": []string{"PATH=/bin"},
		},
		"root":     map[string]any{"path": "rootfs"},
		"hostname": "shim",
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
			{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"newinstance", "ptmxmode=0666"}},
		},
		"linux": map[string]any{
			"cgroupsPath": "/" + h.id,
			"namespaces":  []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}},
			"resources":   map[string]any{"memory": map[string]int64{"limit": 64 << 20}},
		},
	}
	data, err := json.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(h.bundle, "config.json"), data, 0o600))
	return h
}

func busybox(t *testing.T, root string) {
	t.Helper()
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs a static /bin/busybox")
	}
	for _, dir := range []string{"bin", "proc", "dev", "tmp"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/busybox"), data, 0o755))
	for _, name := range []string{"sh", "true", "sleep", "cat", "echo", "tty", "stty", "tail", "seq", "yes", "head"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(root, "bin", name)))
	}
}

func TestRealExecs(t *testing.T) {
	h := newRuncHost(t, false, "sleep 600")
	h.run(stdioURIs{})
	for i := range 200 {
		id := "e" + strconv.Itoa(i)
		require.NoError(t, h.exec(id, stdioURIs{}, "true"))
		require.Equal(t, 0, h.wait(id))
		_, err := h.delete(id)
		require.NoError(t, err)
	}
}

func TestRealPauseStatsUpdatePids(t *testing.T) {
	h := newRuncHost(t, false, "sleep 600")
	h.run(stdioURIs{})
	ctx := t.Context()
	require.NoError(t, h.exec("e1", stdioURIs{}, "sleep", "600"))

	pids, err := h.shim.Pids(ctx, &api.PidsRequest{ID: h.id})
	require.NoError(t, err)
	require.Len(t, pids.Processes, 2, "init and the exec")
	require.Nil(t, pids.Processes[0].Info)
	require.Equal(t, "containerd.runc.v1.ProcessDetails", pids.Processes[1].Info.TypeUrl)

	_, err = h.shim.Pause(ctx, &api.PauseRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, task.Status_PAUSED, h.status())
	_, err = h.shim.Resume(ctx, &api.ResumeRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, task.Status_RUNNING, h.status())

	_, err = h.shim.Update(ctx, &api.UpdateTaskRequest{ID: h.id, Resources: &anypb.Any{
		TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
		Value:   []byte(`{"memory":{"limit":33554432}}`),
	}})
	require.NoError(t, err)
	usage, limit := h.memory()
	require.Positive(t, usage)
	require.EqualValues(t, 32<<20, limit)

	require.NoError(t, h.kill(unix.SIGKILL))
	require.Equal(t, 137, h.wait(""))
	h.events.want("create", "start", "exec-added", "exec-started", "paused", "resumed",
		"exit e1 137", "exit "+h.id+" 137")
}

func (h *host) status() task.Status {
	h.t.Helper()
	state, err := h.shim.State(h.t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(h.t, err)
	return state.Status
}

// memory reads usage and limit from Stats, whichever type this machine's cgroups give.
func (h *host) memory() (usage, limit uint64) {
	h.t.Helper()
	answer, err := h.shim.Stats(h.t.Context(), &api.StatsRequest{ID: h.id})
	require.NoError(h.t, err)
	switch answer.Stats.TypeUrl {
	case "io.containerd.cgroups.v1.Metrics":
		var m v1.Metrics
		require.NoError(h.t, proto.Unmarshal(answer.Stats.Value, &m))
		return m.Memory.Usage.Usage, m.Memory.Usage.Limit
	case "io.containerd.cgroups.v2.Metrics":
		var m v2.Metrics
		require.NoError(h.t, proto.Unmarshal(answer.Stats.Value, &m))
		return m.Memory.Usage, m.Memory.UsageLimit
	}
	h.t.Fatalf("statistics of type %q", answer.Stats.TypeUrl)
	return 0, 0
}

func TestRealMemoryRunsOut(t *testing.T) {
	h := newRuncHost(t, false, "tail /dev/zero")
	h.run(stdioURIs{})
	require.NotZero(t, h.wait(""))
	require.Eventually(t, func() bool { return len(h.events.list()) >= 4 }, 5*time.Second, 10*time.Millisecond)
	got := h.events.list()
	require.Contains(t, got, "oom", "%q", got)
	require.True(t, strings.HasPrefix(got[len(got)-1], "exit "), "%q", got)
	exit, err := record.Read(h.bundle, "")
	require.NoError(t, err)
	require.True(t, exit.OOMKilled)
}

func TestRealTerminal(t *testing.T) {
	h := newRuncHost(t, true, "while read x; do stty size; echo read $x; done; exit 4")
	log, in, tee := filepath.Join(h.dir, "log"), filepath.Join(h.dir, "in"), filepath.Join(h.dir, "tee")
	require.NoError(t, unix.Mkfifo(in, 0o600))
	h.run(stdioURIs{terminal: true, in: in, out: "json-file://" + log + "?fifo=" + tee})
	_, err := h.shim.ResizePty(t.Context(), &api.ResizePtyRequest{ID: h.id, Width: 93, Height: 31})
	require.NoError(t, err)
	out, err := os.Open(tee)
	require.NoError(t, err)
	defer out.Close()
	keys, err := os.OpenFile(in, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer keys.Close()
	_, err = keys.WriteString("one\n")
	require.NoError(t, err)
	seen := readUntil(t, out, "read one\r\n")
	require.Contains(t, seen, "31 93\r\n")
	_, err = keys.WriteString("\x04") // end of file, from the terminal's line discipline
	require.NoError(t, err)
	require.Equal(t, 4, h.wait(""))
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `{"log":"read one\r\n","stream":"stdout"`)

	_, err = h.delete("")
	require.NoError(t, err)
}

func readUntil(t *testing.T, f *os.File, text string) string {
	t.Helper()
	require.NoError(t, f.SetReadDeadline(time.Now().Add(10*time.Second)))
	var got bytes.Buffer
	buf := make([]byte, 1024)
	for !strings.Contains(got.String(), text) {
		n, err := f.Read(buf)
		require.NoError(t, err, "so far: %q", got.String())
		got.Write(buf[:n])
	}
	return got.String()
}

func TestRealTerminalOfAnExec(t *testing.T) {
	h := newRuncHost(t, false, "sleep 600")
	h.run(stdioURIs{})
	log := filepath.Join(h.dir, "log")
	require.NoError(t, h.exec("e1", stdioURIs{terminal: true, out: "file://" + log}, "sh", "-c", "tty; exit 6"))
	require.Equal(t, 6, h.wait("e1"))
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "/dev/pts/0\r\n", string(data))
}

func TestRealRootfsIsMountedAndUnmounted(t *testing.T) {
	h := newRuncHost(t, false, "cat /proc/self/mountinfo; echo x >/new")
	lower := filepath.Join(h.dir, "lower")
	require.NoError(t, os.Rename(filepath.Join(h.bundle, "rootfs"), lower))
	upper, work := filepath.Join(h.dir, "upper"), filepath.Join(h.dir, "work")
	require.NoError(t, os.Mkdir(upper, 0o755))
	require.NoError(t, os.Mkdir(work, 0o755))
	h.start()
	_, err := h.shim.Create(t.Context(), &api.CreateTaskRequest{
		ID: h.id, Bundle: h.bundle, Options: h.options(),
		Rootfs: []*types.Mount{{Type: "overlay", Source: "overlay", Options: []string{
			"lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work,
		}}},
	})
	require.NoError(t, err)
	require.Contains(t, mounts(t), h.bundle)
	_, err = h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, 0, h.wait(""))
	require.FileExists(t, filepath.Join(upper, "new"))
	_, err = h.delete("")
	require.NoError(t, err)
	require.NotContains(t, mounts(t), h.bundle)
}

func mounts(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	return string(data)
}

func TestRealShimIsKilled(t *testing.T) {
	h := newRuncHost(t, false, "sleep 600")
	h.run(stdioURIs{})
	require.NoError(t, unix.Kill(h.pid, unix.SIGKILL))
	h.reapShim()
	out, err := h.command("delete").Output()
	require.NoError(t, err)
	var answer api.DeleteResponse
	require.NoError(t, proto.Unmarshal(out, &answer))
	require.EqualValues(t, 137, answer.ExitStatus)
	require.False(t, alive(int(answer.Pid)), "the container goes with its shim's cleanup")
	require.NoDirExists(t, fmt.Sprintf("/sys/fs/cgroup/memory/%s", h.id))
}

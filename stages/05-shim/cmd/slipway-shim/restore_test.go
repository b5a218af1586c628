package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// checkpointed runs a script, takes a checkpoint and ends it; the host then stands where it stood before Create.
func checkpointed(t *testing.T, h *host) (images string) {
	t.Helper()
	h.run(stdioURIs{})
	images = filepath.Join(t.TempDir(), "images")
	require.NoError(t, h.checkpoint(images))
	require.Equal(t, 137, h.wait(""))
	_, err := h.delete("")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return slices.Contains(h.events.list(), "delete") }, 10*time.Second, 10*time.Millisecond)
	return images
}

// checkpoint ends the container.
func (h *host) checkpoint(images string) error {
	value, err := proto.Marshal(&runc.CheckpointOptions{Exit: true})
	require.NoError(h.t, err)
	options := &anypb.Any{TypeUrl: "containerd.runc.v1.CheckpointOptions", Value: value}
	_, err = h.shim.Checkpoint(h.t.Context(), &api.CheckpointTaskRequest{ID: h.id, Path: images, Options: options})
	return err
}

// createFrom asks for a container from a checkpoint, and says which pid it was told.
func (h *host) createFrom(images string, io stdioURIs) (uint32, error) {
	answer, err := h.shim.Create(h.t.Context(), &api.CreateTaskRequest{
		ID: h.id, Bundle: h.bundle, Options: h.options(), Checkpoint: images,
		Terminal: io.terminal, Stdin: io.in, Stdout: io.out, Stderr: io.err,
	})
	return answer.GetPid(), err
}

func (h *host) startInit() error {
	_, err := h.shim.Start(h.t.Context(), &api.StartRequest{ID: h.id})
	return err
}

func TestRestore(t *testing.T) {
	h := newHost(t, "echo once more; exec sleep 60", nil)
	images := checkpointed(t, h)
	out := filepath.Join(t.TempDir(), "out")
	pid, err := h.createFrom(images, stdioURIs{out: "file://" + out})
	require.NoError(t, err)
	require.Zero(t, pid, "nothing runs before the start")
	state := h.state()
	require.Equal(t, task.Status_CREATED, state.Status)
	require.Zero(t, state.Pid)
	require.NoFileExists(t, filepath.Join(h.bundle, "exit.json"), "that was another life")

	require.NoError(t, h.startInit())
	state = h.state()
	require.Equal(t, task.Status_RUNNING, state.Status)
	require.NotZero(t, state.Pid)
	left, err := filepath.Glob(filepath.Join(h.bundle, "criu-work-*"))
	require.NoError(t, err)
	require.Empty(t, left, "criu's logs go when all is well")
	require.Equal(t, codes.FailedPrecondition, status.Code(h.startInit()), "once is enough")

	require.NoError(t, h.exec("e1", stdioURIs{}, "true"))
	require.Zero(t, h.wait("e1"))
	require.NoError(t, h.kill(unix.SIGTERM))
	require.Equal(t, 143, h.wait(""))
	gone, err := h.delete("")
	require.NoError(t, err)
	require.EqualValues(t, state.Pid, gone.Pid)
	want := []string{"create", "start", "exec-added", "exec-started", "exit e1 0", "exit c1 143", "delete"}
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Equal(c, want, h.events.list()[5:]) }, 10*time.Second, 10*time.Millisecond)
}

func (h *host) state() *api.StateResponse {
	h.t.Helper()
	state, err := h.shim.State(h.t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(h.t, err)
	return state
}

// TestRestoredOutput: what is restored talks to the streams of this Create, not of the first.
func TestRestoredOutput(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		h := newHost(t, "sleep 60", nil)
		images := checkpointed(t, h)
		program := strings.Join([]string{"/bin/sh", "-c", "echo it is $(tty); exit 3", ""}, "\x00")
		require.NoError(t, os.WriteFile(filepath.Join(images, "program"), []byte(program), 0o600))
		out := filepath.Join(t.TempDir(), "out")
		_, err := h.createFrom(images, stdioURIs{out: "file://" + out, terminal: terminal})
		require.NoError(t, err)
		require.NoError(t, h.startInit())
		require.Equal(t, 3, h.wait(""))
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		want := "it is not a tty\n"
		if terminal {
			want = "it is /dev/pts/"
		}
		require.Contains(t, string(text), want)
	}
}

// TestRestoreSaysWhatItNeeds: the runtime's flags, and criu's work directory when the caller names one.
func TestRestoreSaysWhatItNeeds(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	images := checkpointed(t, h)
	work := t.TempDir()
	value, err := proto.Marshal(&runc.Options{
		BinaryName: h.runtime, Root: filepath.Join(h.dir, "r"), CriuWorkPath: work, NoPivotRoot: true,
	})
	require.NoError(t, err)
	_, err = h.shim.Create(t.Context(), &api.CreateTaskRequest{
		ID: h.id, Bundle: h.bundle, Checkpoint: images, Options: &anypb.Any{TypeUrl: "containerd.runc.v1.Options", Value: value},
	})
	require.NoError(t, err)
	require.NoError(t, h.startInit())
	log, err := os.ReadFile(filepath.Join(work, "restore.log"))
	require.NoError(t, err, "what the caller has named stays")
	_, verb, _ := strings.Cut(string(log), "--log-format json ")
	require.Equal(t, "restore --detach --no-subreaper --bundle "+h.bundle+" --pid-file "+h.bundle+"/init.pid --image-path "+images+
		" --work-path "+work+" --no-pivot c1", verb)
}

// TestFailedRestoreMayBeTriedAgain: the container stays created, criu's log stays to be read, and nothing else.
func TestFailedRestoreMayBeTriedAgain(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	images := checkpointed(t, h)
	broken := filepath.Join(images, "broken")
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	_, err := h.createFrom(images, stdioURIs{out: "file://" + filepath.Join(t.TempDir(), "out")})
	require.NoError(t, err)
	require.ErrorContains(t, h.startInit(), "OCI runtime restore failed: criu failed: type RESTORE errno 0")
	require.Equal(t, task.Status_CREATED, h.state().Status)
	logs, err := filepath.Glob(filepath.Join(h.bundle, "criu-work-*", "restore.log"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.NoError(t, os.Remove(broken))
	require.NoError(t, h.startInit())
	require.Equal(t, task.Status_RUNNING, h.state().Status)
}

// TestBeforeItIsRestored: a container without processes can be asked for little, and taken away.
func TestBeforeItIsRestored(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	images := checkpointed(t, h)
	for _, bad := range []string{"relative", filepath.Join(images, "program"), filepath.Join(images, "nowhere")} {
		_, err := h.createFrom(bad, stdioURIs{})
		require.Equal(t, codes.InvalidArgument, status.Code(err), bad)
	}
	_, err := h.createFrom(images, stdioURIs{})
	require.NoError(t, err)
	_, paused := h.shim.Pause(t.Context(), &api.PauseRequest{ID: h.id})
	_, listed := h.shim.Pids(t.Context(), &api.PidsRequest{ID: h.id})
	_, measured := h.shim.Stats(t.Context(), &api.StatsRequest{ID: h.id})
	for name, err := range map[string]error{
		"exec": h.exec("e1", stdioURIs{}, "true"), "kill": h.kill(unix.SIGKILL), "checkpoint": h.checkpoint(images),
		"pause": paused, "pids": listed, "stats": measured,
	} {
		require.Equal(t, codes.FailedPrecondition, status.Code(err), name)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := h.shim.Wait(t.Context(), &api.WaitRequest{ID: h.id})
		waited <- err
	}()
	gone, err := h.delete("")
	require.NoError(t, err)
	require.Zero(t, gone.Pid)
	require.Equal(t, codes.NotFound, status.Code(h.startInit()))
	assert.Eventually(t, func() bool { return len(waited) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, codes.NotFound, status.Code(<-waited), "it never ended: it never was")
}

// TestDeleteWaitsForARestore: what is just coming to life is not taken for what has none.
func TestDeleteWaitsForARestore(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	images := checkpointed(t, h)
	slow := filepath.Join(images, "slow")
	require.NoError(t, os.WriteFile(slow, nil, 0o600))
	t.Cleanup(func() { os.Remove(slow) })
	_, err := h.createFrom(images, stdioURIs{})
	require.NoError(t, err)
	started, deleted := make(chan error, 1), make(chan error, 1)
	go func() { started <- h.startInit() }()
	require.Eventually(t, func() bool {
		logs, _ := filepath.Glob(filepath.Join(h.bundle, "criu-work-*", "restore.log"))
		return len(logs) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, task.Status_CREATED, h.state().Status)
	go func() {
		_, err := h.delete("")
		deleted <- err
	}()
	require.Never(t, func() bool { return len(deleted) > 0 }, 200*time.Millisecond, 20*time.Millisecond)
	require.NoError(t, os.Remove(slow))
	require.NoError(t, <-started)
	require.Equal(t, codes.FailedPrecondition, status.Code(<-deleted), "it runs")
	require.Equal(t, task.Status_RUNNING, h.state().Status)
}

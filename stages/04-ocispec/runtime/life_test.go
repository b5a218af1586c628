package runtime_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

func TestALife(t *testing.T) {
	p := newPlace(t)
	_, err := p.State("c")
	require.EqualError(t, err, "container does not exist")
	p.create(t, p.bundle(t, "echo started >/out/out; sleep 1000", nil))
	require.Equal(t, lifecycle.Created, p.status(t))
	require.NoFileExists(t, filepath.Join(p.out, "out"), "the program waits for start")
	require.EqualError(t, p.Resume(t.Context(), "c"), "container not paused")
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "true", nil)})
	require.EqualError(t, err, "container with given ID already exists")

	require.NoError(t, p.Start(t.Context(), "c"))
	require.Equal(t, lifecycle.Running, p.status(t))
	require.Eventually(t, func() bool { b, _ := os.ReadFile(filepath.Join(p.out, "out")); return string(b) == "started\n" }, 10*time.Second, time.Millisecond)
	require.EqualError(t, p.Start(t.Context(), "c"), "cannot start an already running container")
	require.EqualError(t, p.Delete(t.Context(), "c", false), "cannot delete container that is not stopped: running")

	require.NoError(t, p.Pause(t.Context(), "c"))
	require.Equal(t, lifecycle.Paused, p.status(t))
	require.NoError(t, p.Resume(t.Context(), "c"))
	pids, err := p.Pids("c")
	require.NoError(t, err)
	require.NotEmpty(t, pids)

	require.NoError(t, p.Kill(t.Context(), "c", unix.SIGKILL, false))
	require.Eventually(t, func() bool { return p.status(t) == lifecycle.Stopped }, 10*time.Second, time.Millisecond)
	require.EqualError(t, p.Kill(t.Context(), "c", unix.SIGTERM, false), "container not running")
	require.NoError(t, p.Delete(t.Context(), "c", false))
	require.NoError(t, p.Delete(t.Context(), "c", true), "with force an unknown id is a success")
	require.ErrorIs(t, p.Delete(t.Context(), "c", false), state.ErrNotExist)
}

func TestAPausedContainerDies(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	require.NoError(t, p.Start(t.Context(), "c"))
	require.NoError(t, p.Pause(t.Context(), "c"))
	require.NoError(t, p.Kill(t.Context(), "c", unix.SIGKILL, false))
	require.Eventually(t, func() bool { return p.status(t) == lifecycle.Stopped }, 10*time.Second, time.Millisecond)
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]unix.Signal{"9": 9, "KILL": 9, "SIGKILL": 9, "term": 15, "0": 0, "SIGUSR1": unix.SIGUSR1} {
		got, err := runtime.ParseSignal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "NOPE", "-1", "65", "SIG"} {
		_, err := runtime.ParseSignal(text)
		require.Error(t, err, text)
	}
}

func TestUpdate(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	if err := p.Update("c", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(33))}}); err != nil {
		t.Skip("needs a pids controller: ", err)
	}
	s, _, err := p.Stats("c")
	require.NoError(t, err)
	require.Equal(t, uint64(33), s.Pids.Limit)
}

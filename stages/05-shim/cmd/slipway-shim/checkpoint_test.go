package main

import (
	"os"
	"path/filepath"
	"testing"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/stretchr/testify/require"
)

func TestCheckpoint(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	dir := filepath.Join(t.TempDir(), "images")
	_, err := h.shim.Checkpoint(t.Context(), &api.CheckpointTaskRequest{ID: h.id, Path: dir})
	require.NoError(t, err)
	work, err := os.ReadFile(filepath.Join(dir, "work"))
	require.NoError(t, err)
	require.Equal(t, h.bundle, filepath.Dir(string(work)))
	require.NoDirExists(t, string(work), "criu's logs go when all is well")

	h.events.want("create", "start", "checkpointed")

	require.NoError(t, h.checkpoint(dir))
	require.Equal(t, 137, h.wait(""))
	_, err = h.delete("")
	require.NoError(t, err)
}

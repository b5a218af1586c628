package main

import (
	"os"
	"path/filepath"
	"testing"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
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

	value, err := proto.Marshal(&runc.CheckpointOptions{Exit: true})
	require.NoError(t, err)
	options := &anypb.Any{TypeUrl: "containerd.runc.v1.CheckpointOptions", Value: value}
	_, err = h.shim.Checkpoint(t.Context(), &api.CheckpointTaskRequest{ID: h.id, Path: dir, Options: options})
	require.NoError(t, err)
	require.Equal(t, 137, h.wait(""))
	_, err = h.delete("")
	require.NoError(t, err)
}

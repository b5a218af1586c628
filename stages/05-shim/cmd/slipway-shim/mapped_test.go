package main

import (
	"os"
	"path/filepath"
	"testing"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
)

// TestMappedRoot: the shim reaps whatever ends below it, but not the child that such a mount needs.
func TestMappedRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	h := newHost(t, "exec sleep 60", nil)
	source := t.TempDir()
	if err := idmap.Probe("bind", source); err != nil {
		t.Skip("needs a kernel that maps mounts: ", err)
	}
	h.start()
	rootfs := filepath.Join(h.bundle, "rootfs")
	for range 50 {
		_, err := h.shim.Create(t.Context(), &api.CreateTaskRequest{
			ID: h.id, Bundle: h.bundle, Options: h.options(), Rootfs: []*types.Mount{{
				Type: "bind", Source: source, Options: []string{"uidmap=0:100000:10", "gidmap=0:200000:10", "rbind", "rw"},
			}},
		})
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Stat(rootfs, &st))
		require.Equal(t, [2]uint32{100000, 200000}, [2]uint32{st.Uid, st.Gid})
		_, err = h.delete("")
		require.NoError(t, err)
	}
}

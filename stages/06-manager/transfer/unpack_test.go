package transfer_test

import (
	"testing"

	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

func backends(t *testing.T, s *store.Store) []snapshot.Info {
	t.Helper()
	var all []snapshot.Info
	require.NoError(t, s.Snapshotters[store.DefaultSnapshotter].Walk(t.Context(), func(i snapshot.Info) error {
		all = append(all, i)
		return nil
	}))
	return all
}

// TestHalfUnpackedIsMarked: the backend itself knows what is worth nothing after a kill, and no other label.
func TestHalfUnpackedIsMarked(t *testing.T) {
	r := newRig(t)
	sn, err := r.store.In("test", "").Snapshots(store.DefaultSnapshotter)
	require.NoError(t, err)
	mark := map[string]string{snapshot.LabelTransient: "unpack", "mine": "x"}
	_, err = sn.Prepare(t.Context(), "half", "", mark)
	require.NoError(t, err)
	_, err = sn.Prepare(t.Context(), "container", "", map[string]string{"mine": "x"})
	require.NoError(t, err)
	marked := 0
	for _, i := range backends(t, r.store) {
		require.NotContains(t, i.Labels, "mine")
		marked += len(i.Labels)
	}
	require.Equal(t, 1, marked)
}

// TestUnpackFails: the second layer is not what the config promises, when the first is committed and the blobs are
// there. All of it goes.
func TestUnpackFails(t *testing.T) {
	r := newRig(t)
	img, err := random.Image(512, 3)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.RootFS.DiffIDs[1] = v1.Hash{Algorithm: "sha256", Hex: config.RootFS.DiffIDs[0].Hex}
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	tag, err := name.NewTag(r.host + "/bad:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, img))

	err = r.pull(tag.String(), func(*transfertypes.Progress) {})
	require.Equal(t, codes.DataLoss, status.Code(err), "%v", err)
	require.NoError(t, r.gc.Sync(t.Context()))
	require.Empty(t, backends(t, r.store))
	require.Empty(t, r.store.Check(t.Context()))
	require.NoError(t, r.store.Blobs.Walk(func(i content.Info) error { t.Errorf("left: %s", i.Digest); return nil }))
}

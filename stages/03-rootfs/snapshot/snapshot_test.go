package snapshot_test

import (
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot/snapshottest"
)

func TestOverlay(t *testing.T) {
	snapshottest.Run(t, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewOverlay(dir) })
}

func TestCopy(t *testing.T) {
	snapshottest.Run(t, func(dir string) (snapshot.Snapshotter, error) { return snapshot.NewCopy(dir) })
}

package manager

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs/pkg/errgrpc"
)

// keepLabel protects a snapshot from the manager's garbage collection; the daemon removes it by itself.
const keepLabel = "containerd.io/gc.root"

// OwnerLabel marks a snapshot as the writable layer of one of the daemon's containers.
const OwnerLabel = "io.slipway.container"

// PrepareSnapshot makes the writable layer of a container above an image's top layer.
func (c *Client) PrepareSnapshot(ctx context.Context, key, parent string) error {
	_, err := c.Snapshots.Prepare(ctx, &snapshots.PrepareSnapshotRequest{
		Snapshotter: c.Snapshotter, Key: key, Parent: parent,
		Labels: map[string]string{keepLabel: time.Now().UTC().Format(time.RFC3339), OwnerLabel: key},
	})
	if err != nil {
		return fmt.Errorf("prepare snapshot %.12s on %.19s: %w", key, parent, err)
	}
	return nil
}

// Mounts tells how to mount the snapshot of this key.
func (c *Client) Mounts(ctx context.Context, key string) ([]*types.Mount, error) {
	resp, err := c.Snapshots.Mounts(ctx, &snapshots.MountsRequest{Snapshotter: c.Snapshotter, Key: key})
	if err != nil {
		return nil, fmt.Errorf("mounts of snapshot %.12s: %w", key, err)
	}
	return resp.GetMounts(), nil
}

// RemoveSnapshot removes it; one that is not there is fine.
func (c *Client) RemoveSnapshot(ctx context.Context, key string) error {
	_, err := c.Snapshots.Remove(ctx, &snapshots.RemoveSnapshotRequest{Snapshotter: c.Snapshotter, Key: key})
	return unlessNotFound(err)
}

// SnapshotSize is the space of this layer alone, in bytes.
func (c *Client) SnapshotSize(ctx context.Context, key string) (int64, error) {
	resp, err := c.Snapshots.Usage(ctx, &snapshots.UsageRequest{Snapshotter: c.Snapshotter, Key: key})
	return resp.GetSize(), err
}

// OwnedSnapshots lists the keys of all writable layers that carry our label.
func (c *Client) OwnedSnapshots(ctx context.Context) ([]string, error) {
	list, err := c.Snapshots.List(ctx, &snapshots.ListSnapshotsRequest{Snapshotter: c.Snapshotter})
	if err != nil {
		return nil, err
	}
	var keys []string
	for {
		resp, err := list.Recv()
		if err == io.EOF {
			return keys, nil
		}
		if err != nil {
			return nil, errgrpc.ToNative(err)
		}
		for _, info := range resp.GetInfo() {
			if info.GetLabels()[OwnerLabel] != "" {
				keys = append(keys, info.GetName())
			}
		}
	}
}

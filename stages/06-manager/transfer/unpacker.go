package transfer

import (
	"context"
	"errors"

	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// unpacker is a snapshotter for one pull. It adds to the pull's lease what it
// finds there already, so that it stays while the rest is put on top of it: each
// snapshot keeps those below it.
type unpacker struct {
	*store.Snapshots
	name string
}

// snapshotter is for stage 3, which looks whether it can commit on another parent.
func (u *unpacker) snapshotter() snapshot.Snapshotter {
	if _, ok := u.Unpacker().(snapshot.Rebaser); ok {
		return u
	}
	return struct{ snapshot.Snapshotter }{u}
}

// Stat holds what it finds, and before it looks: the collector may be as fast.
func (u *unpacker) Stat(ctx context.Context, key string) (snapshot.Info, error) {
	if err := u.Hold(key); err != nil && !fault.Is(err, fault.NotFound) {
		return snapshot.Info{}, err
	}
	return u.Snapshots.Stat(ctx, key)
}

// Commit holds the snapshot of a pull that was faster.
func (u *unpacker) Commit(ctx context.Context, name, key string, labels map[string]string) error {
	return u.holdOther(name, u.Snapshots.Commit(ctx, name, key, labels))
}

// CommitOn is Commit that also sets the parent.
func (u *unpacker) CommitOn(ctx context.Context, name, key, parent string, labels map[string]string) error {
	return u.holdOther(name, u.Snapshots.CommitOn(ctx, name, key, parent, labels))
}

func (u *unpacker) holdOther(name string, err error) error {
	if !errors.Is(err, snapshot.ErrExists) {
		return err
	}
	if held := u.Hold(name); held != nil {
		return held
	}
	return err
}

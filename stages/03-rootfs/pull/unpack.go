package pull

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"golang.org/x/sync/errgroup"
)

// Unpack turns the layers of an image into committed snapshots, each named by its chain id, and gives the chain id of the whole: the
// parent for a container's root. Each layer is held against its diff id. Layers that are there are not unpacked again;
// when it fails, no snapshot of its own making is left.
//
// Where the Snapshotter is a Rebaser the layers are unpacked side by side, else one after another.
func Unpack(ctx context.Context, img Image, store *content.Store, s snapshot.Snapshotter, o Options) (string, error) {
	chain, err := unpack(ctx, newFetcher(store, o), img, s)
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", img.Name, err)
	}
	return chain, nil
}

func unpack(ctx context.Context, f *fetcher, img Image, s snapshot.Snapshotter) (string, error) {
	if len(img.Layers) != len(img.DiffIDs) {
		return "", fmt.Errorf("%d layers, %d diff ids: %w", len(img.Layers), len(img.DiffIDs), ErrManifest)
	}
	u := &unpacker{fetcher: f, snapshots: s, image: img, chain: ChainIDs(img.DiffIDs), run: rand.Text()}
	if len(u.chain) == 0 {
		return "", nil
	}
	first, err := u.present(ctx)
	if err == nil {
		err = u.layers(ctx, first)
	}
	return u.chain[len(u.chain)-1].String(), err
}

// unpacker is one Unpack.
type unpacker struct {
	*fetcher  // for the options and the reports
	snapshots snapshot.Snapshotter
	image     Image
	chain     []digest.Digest
	run       string // makes the keys of this run its own
	committed []string
}

// present tells how many layers, from the bottom, are there.
func (u *unpacker) present(ctx context.Context) (int, error) {
	for i := len(u.chain) - 1; i >= 0; i-- {
		info, err := u.snapshots.Stat(ctx, u.chain[i].String())
		if err == nil && info.Kind == snapshot.Committed {
			if u.arrived == nil { // else the download tells
				for _, l := range u.image.Layers[:i+1] {
					u.report(layerEvent(l, AlreadyExists, l.Size))
				}
			}
			return i + 1, nil
		}
		if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
			return 0, err
		}
	}
	return 0, nil
}

func (u *unpacker) layers(ctx context.Context, first int) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, u.undo(context.WithoutCancel(ctx), first))
		}
	}()
	if r, ok := u.snapshots.(snapshot.Rebaser); ok {
		return u.sideBySide(ctx, r, first)
	}
	for i := first; i < len(u.chain); i++ {
		err := u.apply(ctx, i, u.parent(i), &layerWork{})
		if err == nil {
			err = u.snapshots.Commit(ctx, u.chain[i].String(), u.key(i), u.options.SnapshotLabels)
		}
		if err := u.settle(ctx, i, err); err != nil {
			return err
		}
	}
	return nil
}

// layerWork is a layer that was applied and is to be committed.
type layerWork struct {
	dir    string
	result layer.Result
}

// sideBySide unpacks all layers at once and commits them from the bottom, each as soon as it and all below it are done.
func (u *unpacker) sideBySide(ctx context.Context, r snapshot.Rebaser, first int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(u.options.Parallel + 1)
	done := make([]chan *layerWork, len(u.chain))
	for i := first; i < len(u.chain); i++ {
		done[i] = make(chan *layerWork, 1)
	}
	g.Go(func() error { return u.commitAll(ctx, r, first, done) })
	for i := first; i < len(u.chain); i++ {
		g.Go(func() error {
			work := &layerWork{}
			if err := u.apply(ctx, i, "", work); err != nil {
				return u.named(i, err)
			}
			done[i] <- work
			return nil
		})
	}
	return g.Wait()
}

func (u *unpacker) commitAll(ctx context.Context, r snapshot.Rebaser, first int, done []chan *layerWork) error {
	for i := first; i < len(u.chain); i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case work := <-done[i]:
			err := u.inherit(ctx, i, work)
			if err == nil {
				err = r.CommitOn(ctx, u.chain[i].String(), u.key(i), u.parent(i), u.options.SnapshotLabels)
			}
			if err := u.settle(ctx, i, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *unpacker) parent(i int) string {
	if i == 0 {
		return ""
	}
	return u.chain[i-1].String()
}

// key is that of the snapshot in which layer i is being unpacked.
func (u *unpacker) key(i int) string { return "unpack-" + u.run + " " + u.chain[i].String() }

func (u *unpacker) named(i int, err error) error {
	return fmt.Errorf("layer %s: %w", u.image.Layers[i].Digest, err)
}

// settle ends layer i: another Unpack that was faster is no error.
func (u *unpacker) settle(ctx context.Context, i int, err error) error {
	switch {
	case errors.Is(err, snapshot.ErrExists):
		err = u.snapshots.Remove(ctx, u.key(i))
	case err == nil:
		u.committed = append(u.committed, u.chain[i].String())
	}
	if err != nil {
		return u.named(i, err)
	}
	u.report(layerEvent(u.image.Layers[i], PullComplete, u.image.Layers[i].Size))
	return nil
}

// undo removes what this run made: what is being unpacked, then what it committed, from the top down. A snapshot that somebody
// else has begun to use meanwhile stays, and those below it.
func (u *unpacker) undo(ctx context.Context, first int) error {
	var failed error
	for i := first; i < len(u.chain); i++ {
		if err := u.snapshots.Remove(ctx, u.key(i)); err != nil && !errors.Is(err, snapshot.ErrNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	for i := len(u.committed) - 1; i >= 0; i-- {
		if err := u.snapshots.Remove(ctx, u.committed[i]); err != nil && !errors.Is(err, snapshot.ErrInvalid) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// transient are the labels of what is half done.
func transient() map[string]string { return map[string]string{snapshot.LabelTransient: "unpack"} }

// apply unpacks layer i into a new Active snapshot on top of parent.
func (u *unpacker) apply(ctx context.Context, i int, parent string, work *layerWork) error {
	mounts, err := u.snapshots.Prepare(ctx, u.key(i), parent, transient())
	if err != nil {
		return err
	}
	t, err := targetOf(mounts)
	if err != nil {
		return err
	}
	if parent == "" && i > 0 {
		t.options.Whiteouts = layer.Overlay // alone for now, but there will be layers below
	}
	return u.applyTo(ctx, i, t, work)
}

func (u *unpacker) applyTo(ctx context.Context, i int, t target, work *layerWork) error {
	if err := u.wait(ctx, u.image.Layers[i].Digest); err != nil {
		return err
	}
	blob, err := u.store.ReaderAt(u.image.Layers[i].Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	t.options.Limits = u.options.Limits
	in := &extracting{unpacker: u, reader: io.NewSectionReader(blob, 0, blob.Size()), layer: u.image.Layers[i]}
	work.dir = t.dir
	work.result, err = applyBlob(ctx, in, t, u.image.DiffIDs[i])
	return err
}

// extracting reads a compressed layer and reports how far it is.
type extracting struct {
	*unpacker
	reader io.Reader
	layer  ocispec.Descriptor
	read   int64
	last   time.Time
}

func (e *extracting) Read(p []byte) (int, error) {
	n, err := e.reader.Read(p)
	e.read += int64(n)
	if now := time.Now(); now.Sub(e.last) >= tick {
		e.last = now
		e.report(layerEvent(e.layer, Extracting, e.read))
	}
	return n, err
}

// inherit completes a layer that was unpacked alone, now that all below it are committed.
func (u *unpacker) inherit(ctx context.Context, i int, work *layerWork) error {
	if i == 0 || len(work.result.Implicit) == 0 && !work.result.OpaqueRoot {
		return nil
	}
	key := "view-" + u.key(i)
	mounts, err := u.snapshots.View(ctx, key, u.parent(i), transient())
	if err != nil {
		return err
	}
	lowers, err := lowersOf(mounts)
	if err == nil {
		err = layer.Inherit(work.dir, lowers, work.result)
	}
	return errors.Join(err, u.snapshots.Remove(context.WithoutCancel(ctx), key))
}

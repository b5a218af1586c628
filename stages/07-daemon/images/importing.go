package images

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/diff/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/metadata"
)

// Blob is one piece of an image to be stored.
type Blob struct {
	Descriptor ocispec.Descriptor
	Open       func() io.Reader
}

// Import stores an image that is at hand: blobs (children before parents), unpacked layers, at last the name.
// A lease keeps the pieces together until then; it expires by itself when we die in between.
func (s *Store) Import(ctx context.Context, name string, target ocispec.Descriptor, blobs []Blob) error {
	ctx, release, err := s.lease(ctx)
	if err != nil {
		return err
	}
	defer release()
	refs := map[digest.Digest]map[string]string{}
	if manifest, config, err := importRefs(blobs, target); err == nil {
		refs[target.Digest] = manifest
		refs[config.digest] = map[string]string{"containerd.io/gc.ref.snapshot." + s.c.Snapshotter: config.chain}
	} else {
		return fmt.Errorf("import %s: %w", name, err)
	}
	for _, b := range blobs {
		if err := s.write(ctx, b, refs[b.Descriptor.Digest]); err != nil {
			return fmt.Errorf("import %s: blob %s: %w", name, b.Descriptor.Digest, err)
		}
	}
	img, err := s.load(ctx, target)
	if err != nil {
		return fmt.Errorf("import %s: %w", name, err)
	}
	if err := s.unpack(ctx, img); err != nil {
		return fmt.Errorf("import %s: %w", name, err)
	}
	_, err = s.c.Images.Create(ctx, &imagesapi.CreateImageRequest{Image: &imagesapi.Image{Name: name, Target: apiDescriptor(target)}})
	if errdefs.IsAlreadyExists(err) {
		return s.setName(ctx, name, img)
	}
	return err
}

// Has tells whether a name is there and names this very image.
func (s *Store) Has(ctx context.Context, name string, target digest.Digest) (bool, error) {
	have, err := s.target(ctx, name)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil && have == target.String(), err
}

func (s *Store) lease(ctx context.Context) (context.Context, func(), error) {
	id := "slipway-import-" + rand.Text()
	_, err := s.c.Leases.Create(ctx, &leases.CreateRequest{ID: id, Labels: map[string]string{
		"containerd.io/gc.expire": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}})
	if err != nil {
		return nil, nil, fmt.Errorf("lease: %w", err)
	}
	release := func() {
		_, _ = s.c.Leases.Delete(context.WithoutCancel(ctx), &leases.DeleteRequest{ID: id}) // it expires otherwise
	}
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", id), release, nil
}

type configRef struct {
	digest digest.Digest
	chain  string
}

// importRefs are the labels by which the manager's garbage collection finds from a manifest to what it needs.
func importRefs(blobs []Blob, target ocispec.Descriptor) (map[string]string, configRef, error) {
	var manifest ocispec.Manifest
	var config ocispec.Image
	if err := decodeBlob(blobs, target.Digest, &manifest); err != nil {
		return nil, configRef{}, err
	}
	if err := decodeBlob(blobs, manifest.Config.Digest, &config); err != nil {
		return nil, configRef{}, err
	}
	labels := map[string]string{"containerd.io/gc.ref.content.config": manifest.Config.Digest.String()}
	for i, l := range manifest.Layers {
		labels[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = l.Digest.String()
	}
	return labels, configRef{manifest.Config.Digest, chainID(config.RootFS.DiffIDs).String()}, nil
}

func decodeBlob(blobs []Blob, d digest.Digest, into any) error {
	for _, b := range blobs {
		if b.Descriptor.Digest == d {
			return json.NewDecoder(io.LimitReader(b.Open(), maxDocument)).Decode(into)
		}
	}
	return fmt.Errorf("blob %s is missing", d)
}

const writeChunk = 1 << 20

// write stores one blob; one that is there already is fine.
func (s *Store) write(ctx context.Context, b Blob, labels map[string]string) error {
	w, err := s.c.Content.Write(ctx)
	if err != nil {
		return err
	}
	d := b.Descriptor
	err = s.send(w, b, &content.WriteContentRequest{
		Action: content.WriteAction_COMMIT, Ref: "slipway-import-" + d.Digest.String(), Total: d.Size,
		Expected: d.Digest.String(), Labels: labels,
	})
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (s *Store) send(w content.Content_WriteClient, b Blob, commit *content.WriteContentRequest) error {
	ask := func(req *content.WriteContentRequest) (*content.WriteContentResponse, error) {
		if err := w.Send(req); err != nil && err != io.EOF {
			return nil, err
		}
		resp, err := w.Recv()
		return resp, errgrpc.ToNative(err)
	}
	status, err := ask(&content.WriteContentRequest{Action: content.WriteAction_STAT, Ref: commit.Ref, Total: commit.Total, Expected: commit.Expected})
	if err != nil {
		return err
	}
	from := b.Open()
	offset := status.GetOffset()
	if _, err := io.CopyN(io.Discard, from, offset); err != nil {
		return err
	}
	buf := make([]byte, writeChunk)
	for {
		n, err := io.ReadFull(from, buf)
		if n > 0 {
			req := &content.WriteContentRequest{Action: content.WriteAction_WRITE, Ref: commit.Ref, Offset: offset, Data: buf[:n]}
			if _, err := ask(req); err != nil {
				return err
			}
			offset += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	commit.Offset = offset
	_, err = ask(commit)
	return err
}

// unpack makes the snapshots of all layers that are not there yet.
func (s *Store) unpack(ctx context.Context, img Image) error {
	parent := ""
	for i, layer := range img.Layers {
		chain := chainID(img.Config.RootFS.DiffIDs[:i+1]).String()
		if err := s.unpackLayer(ctx, layer, parent, chain); err != nil {
			return fmt.Errorf("unpack layer %s: %w", layer.Digest, err)
		}
		parent = chain
	}
	return nil
}

func (s *Store) unpackLayer(ctx context.Context, layer ocispec.Descriptor, parent, chain string) error {
	_, err := s.c.Snapshots.Stat(ctx, &snapshots.StatSnapshotRequest{Snapshotter: s.c.Snapshotter, Key: chain})
	if err == nil || !isNotFound(err) {
		return err
	}
	key := "extract-" + rand.Text()
	made, err := s.c.Snapshots.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: s.c.Snapshotter, Key: key, Parent: parent})
	if err != nil {
		return err
	}
	if _, err = s.c.Diff.Apply(ctx, &diff.ApplyRequest{Diff: apiDescriptor(layer), Mounts: made.GetMounts()}); err == nil {
		_, err = s.c.Snapshots.Commit(ctx, &snapshots.CommitSnapshotRequest{Snapshotter: s.c.Snapshotter, Name: chain, Key: key})
	}
	if err != nil {
		_, _ = s.c.Snapshots.Remove(context.WithoutCancel(ctx), &snapshots.RemoveSnapshotRequest{Snapshotter: s.c.Snapshotter, Key: key})
		if errdefs.IsAlreadyExists(err) {
			return nil
		}
	}
	return err
}

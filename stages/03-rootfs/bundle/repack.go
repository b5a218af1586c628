package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// AddLayer makes a new image: img and one layer more, whose uncompressed tar write gives. history is what the config tells of it;
// whatever else manifest and config hold stays as it is. The new blobs are in the store, and the descriptor is of the manifest.
func AddLayer(ctx context.Context, img pull.Image, store *content.Store, history ocispec.History, write func(io.Writer) error) (ocispec.Descriptor, error) {
	desc, err := addLayer(ctx, img, store, history, write)
	if err != nil {
		return desc, fmt.Errorf("new layer for %s: %w", img.Name, err)
	}
	return desc, nil
}

func addLayer(ctx context.Context, img pull.Image, store *content.Store, history ocispec.History, write func(io.Writer) error) (desc ocispec.Descriptor, err error) {
	manifest, err := readMap(store, img.Manifest.Digest)
	if err != nil {
		return desc, err
	}
	config, err := readMap(store, img.Config.Digest)
	if err != nil {
		return desc, err
	}
	layer, diffID, err := putLayer(ctx, store, layerType(img), write)
	if err != nil {
		return desc, err
	}
	if err := extendConfig(config, diffID, history); err != nil {
		return desc, err
	}
	newConfig := ocispec.Descriptor{MediaType: img.Config.MediaType}
	if newConfig, err = putMap(store, config, newConfig); err != nil {
		return desc, err
	}
	if err := set(manifest, "config", newConfig); err != nil {
		return desc, err
	}
	if err := set(manifest, "layers", append(append([]ocispec.Descriptor{}, img.Layers...), layer)); err != nil {
		return desc, err
	}
	return putMap(store, manifest, ocispec.Descriptor{MediaType: img.Manifest.MediaType})
}

// layerType is Docker's name in a Docker manifest, OCI's in one of OCI.
func layerType(img pull.Image) string {
	if strings.HasPrefix(img.Manifest.MediaType, "application/vnd.docker.") {
		return "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	return ocispec.MediaTypeImageLayerGzip
}

// object is a JSON object of which we know a part: what we do not know is kept (image-spec, considerations.md#extensibility).
type object map[string]json.RawMessage

func readMap(store *content.Store, d digest.Digest) (object, error) {
	p, err := store.ReadAll(d, maxConfig)
	if err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(p, &o); err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	return o, nil
}

func set(o object, key string, v any) (err error) {
	o[key], err = json.Marshal(v)
	return err
}

func extendConfig(config object, diffID digest.Digest, history ocispec.History) error {
	var fs ocispec.RootFS
	if err := json.Unmarshal(config["rootfs"], &fs); err != nil {
		return fmt.Errorf("config: rootfs: %w", err)
	}
	fs.DiffIDs = append(fs.DiffIDs, diffID)
	var all []json.RawMessage
	if raw, ok := config["history"]; ok {
		if err := json.Unmarshal(raw, &all); err != nil {
			return fmt.Errorf("config: history: %w", err)
		}
	}
	entry, err := json.Marshal(history)
	if err != nil {
		return err
	}
	return errors.Join(set(config, "rootfs", fs), set(config, "history", append(all, entry)), set(config, "created", history.Created))
}

func putMap(store *content.Store, o object, desc ocispec.Descriptor) (ocispec.Descriptor, error) {
	p, err := json.Marshal(o)
	if err != nil {
		return desc, err
	}
	return put(store, desc, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(p))
		return err
	})
}

// putLayer compresses a layer into the store.
func putLayer(ctx context.Context, store *content.Store, mediaType string, write func(io.Writer) error) (ocispec.Descriptor, digest.Digest, error) {
	plain := digest.Canonical.Digester()
	desc, err := put(store, ocispec.Descriptor{MediaType: mediaType}, func(w io.Writer) error {
		z, err := kgzip.NewWriterLevel(w, gzip.DefaultCompression)
		if err != nil {
			return err
		}
		if err := write(io.MultiWriter(z, plain.Hash(), alive{ctx})); err != nil {
			return err
		}
		return z.Close()
	})
	return desc, plain.Digest(), err
}

// alive refuses to be written to when the context has ended.
type alive struct{ ctx context.Context }

func (a alive) Write(p []byte) (int, error) { return len(p), a.ctx.Err() }

// put writes a blob whose digest is not known before. A failure leaves nothing.
func put(store *content.Store, desc ocispec.Descriptor, write func(io.Writer) error) (ocispec.Descriptor, error) {
	ref := "repack-" + rand.Text()
	w, err := store.Writer(ref, 0, "")
	if err != nil {
		return desc, err
	}
	if err := write(w); err != nil {
		return desc, errors.Join(err, w.Close(), store.Abort(ref))
	}
	desc.Size = w.Status().Offset
	desc.Digest, err = w.Commit(0, "")
	if errors.Is(err, content.ErrExists) {
		err = nil
	}
	if err != nil {
		return desc, errors.Join(err, w.Close(), store.Abort(ref))
	}
	return desc, nil
}

// Created is the time for a history entry: whole seconds in UTC, as others write it.
func Created(t time.Time) *time.Time { return new(t.UTC().Truncate(time.Second)) }

package pull

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
)

// maxDepth is how many indexes may lie between a name and its manifest.
const maxDepth = 3

// ReadImage walks from desc, an index or a manifest in the store, to the image for platform (nil: this machine's). ErrNotFound
// when a manifest or config on the way is not in the store; the layers are not looked for.
func ReadImage(store *content.Store, desc ocispec.Descriptor, platform *ocispec.Platform) (Image, error) {
	return readImage(context.Background(), storeSource{store}, desc, platform)
}

// source gives manifests and configs: from the store alone, or from a registry into the store.
type source interface {
	document(ctx context.Context, desc ocispec.Descriptor) ([]byte, error)
}

type storeSource struct{ store *content.Store }

func (s storeSource) document(_ context.Context, desc ocispec.Descriptor) ([]byte, error) {
	p, err := s.store.ReadAll(desc.Digest, maxDocument)
	if errors.Is(err, content.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", desc.Digest, ErrNotFound)
	}
	return p, err
}

func readImage(ctx context.Context, from source, desc ocispec.Descriptor, platform *ocispec.Platform) (Image, error) {
	want := HostPlatform()
	if platform != nil {
		want = *platform
	}
	img := Image{Target: desc}
	for range maxDepth {
		p, err := from.document(ctx, desc)
		if err != nil {
			return Image{}, err
		}
		d, err := parseDocument(desc.MediaType, p)
		if err != nil {
			return Image{}, fmt.Errorf("%s: %w", desc.Digest, err)
		}
		if desc.MediaType == "" {
			desc.MediaType = d.MediaType
		}
		if img.Target.Digest == desc.Digest {
			img.Target = desc
		}
		if !d.isIndex() {
			img.Manifest, img.Config, img.Layers = desc, *d.Config, d.Layers
			return img, readConfig(ctx, from, &img, platform)
		}
		if desc, err = choose(d.Manifests, want); err != nil {
			return Image{}, err
		}
	}
	return Image{}, fmt.Errorf("%w: more than %d indexes in one another", ErrManifest, maxDepth)
}

// readConfig fills in what the config tells. Only who asked for a platform gets an error for another one: an image without an index
// has no other to offer.
func readConfig(ctx context.Context, from source, img *Image, asked *ocispec.Platform) error {
	p, err := from.document(ctx, img.Config)
	if err != nil {
		return err
	}
	if img.DiffIDs, img.Platform, err = parseConfig(p, len(img.Layers)); err != nil {
		return fmt.Errorf("%s: %w", img.Config.Digest, err)
	}
	if asked != nil && img.Platform.Architecture != "" && rank(*asked, img.Platform) < 0 {
		return fmt.Errorf("%s, the image is for %s: %w", platformString(*asked), platformString(img.Platform), ErrPlatform)
	}
	return nil
}

// ChainIDs names each layer together with all below it: the first is the diff id itself, the next the digest of the one
// before and the diff id (image-spec, config.md#layer-chainid). Snapshots are named by them, so two images that begin with the
// same layers share them.
func ChainIDs(diffIDs []digest.Digest) []digest.Digest {
	ids := make([]digest.Digest, len(diffIDs))
	for i, d := range diffIDs {
		ids[i] = d
		if i > 0 {
			ids[i] = digest.FromString(ids[i-1].String() + " " + d.String())
		}
	}
	return ids
}

// Children lists what an index or a manifest in the store names: manifests, or the config and the layers.
func Children(store *content.Store, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	p, err := storeSource{store}.document(context.Background(), desc)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(desc.MediaType, p)
	if err != nil {
		return nil, err
	}
	if d.isIndex() {
		return d.Manifests, nil
	}
	return append([]ocispec.Descriptor{*d.Config}, d.Layers...), nil
}

// IsManifest tells whether a descriptor is of an index or a manifest, and not of a config or a layer.
func IsManifest(desc ocispec.Descriptor) bool { return knownType(desc.MediaType) != "" }

package pull

import (
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's names for the media types of OCI; the documents are the same (image-spec, media-types.md#compatibility-matrix).
const (
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

const (
	maxDocument = 8 << 20 // bytes of a manifest, index or config
	maxLayers   = 500     // what overlayfs can stack
)

// document is a manifest or an index, read once and held against all rules.
type document struct {
	MediaType     string               `json:"mediaType"`
	SchemaVersion int                  `json:"schemaVersion"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	FSLayers      json.RawMessage      `json:"fsLayers"`
}

// parseDocument reads a manifest or an index that came as mediaType. The same bytes must not be readable as both
// (CVE-2021-41190), so what the document says of itself, what it was announced as and what it holds must agree.
func parseDocument(mediaType string, p []byte) (document, error) {
	var d document
	if len(p) > maxDocument {
		return d, fmt.Errorf("manifest of %d bytes: %w", len(p), ErrManifest)
	}
	if err := json.Unmarshal(p, &d); err != nil {
		return d, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	announced := knownType(mediaType)
	own := knownType(d.MediaType)
	isIndex, isManifest := d.Manifests != nil, d.Config != nil || d.Layers != nil
	switch {
	case d.FSLayers != nil || d.SchemaVersion == 1:
		return d, fmt.Errorf("%w: a schema 1 image, which no registry should serve any more", ErrManifest)
	case isIndex && isManifest:
		return d, fmt.Errorf("%w: a manifest and an index at once", ErrManifest)
	case d.MediaType != "" && own == "":
		return d, fmt.Errorf("%w: media type %q is neither a manifest nor an index", ErrManifest, d.MediaType)
	case own != "" && announced != "" && own != announced:
		return d, fmt.Errorf("%w: announced as %s, calls itself %s", ErrManifest, announced, own)
	case own == "" && announced != "":
		d.MediaType = announced
	case own == "" && isIndex:
		d.MediaType = ocispec.MediaTypeImageIndex
	case own == "":
		d.MediaType = ocispec.MediaTypeImageManifest
	}
	if isIndex != d.isIndex() {
		return d, fmt.Errorf("%w: its content is not that of %s", ErrManifest, d.MediaType)
	}
	return d, d.check()
}

// knownType gives the media type when it is that of an index or a manifest, else "". Registries and proxies that know nothing of
// images say application/json or text/plain.
func knownType(mediaType string) string {
	if t, _, err := mime.ParseMediaType(mediaType); err == nil {
		mediaType = t
	}
	switch mediaType {
	case ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerIndex, dockerManifest:
		return mediaType
	}
	return ""
}

func (d document) isIndex() bool {
	return d.MediaType == ocispec.MediaTypeImageIndex || d.MediaType == dockerIndex
}

// check looks at every descriptor before any of them is used: a malformed digest is an error here and not a panic later (CVE-2026-95839).
func (d document) check() error {
	all := append(append([]ocispec.Descriptor{}, d.Manifests...), d.Layers...)
	if !d.isIndex() {
		if d.Config == nil {
			return fmt.Errorf("%w: no config", ErrManifest)
		}
		all = append(all, *d.Config)
	}
	for _, desc := range all {
		if err := desc.Digest.Validate(); err != nil {
			return fmt.Errorf("%w: digest %q: %w", ErrManifest, desc.Digest, err)
		}
		if desc.Size < 0 {
			return fmt.Errorf("%w: %s has %d bytes", ErrManifest, desc.Digest, desc.Size)
		}
	}
	if d.isIndex() {
		return nil
	}
	return d.checkImage()
}

func (d document) checkImage() error {
	if t := d.Config.MediaType; t != ocispec.MediaTypeImageConfig && t != dockerConfig {
		return fmt.Errorf("%w: its config is %q: an artifact, not an image", ErrManifest, t)
	}
	if d.Config.Size > maxDocument {
		return fmt.Errorf("%w: config of %d bytes", ErrManifest, d.Config.Size)
	}
	if len(d.Layers) > maxLayers {
		return fmt.Errorf("%w: %d layers", ErrManifest, len(d.Layers))
	}
	for _, l := range d.Layers {
		if !isLayerType(l.MediaType) {
			return fmt.Errorf("%w: layer %s is %q", ErrManifest, l.Digest, l.MediaType)
		}
	}
	return nil
}

// isLayerType takes tar with any compression, which Decompress then finds out by itself.
func isLayerType(t string) bool {
	return strings.HasPrefix(t, ocispec.MediaTypeImageLayer) || strings.HasPrefix(t, dockerLayer) || isForeign(t)
}

// parseConfig reads the parts of an image's config that unpacking needs.
func parseConfig(p []byte, layers int) (diffIDs []digest.Digest, platform ocispec.Platform, err error) {
	var c ocispec.Image
	if err := json.Unmarshal(p, &c); err != nil {
		return nil, platform, fmt.Errorf("%w: config: %w", ErrManifest, err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return nil, platform, fmt.Errorf("%w: %d layers, but the config knows %d", ErrManifest, layers, len(c.RootFS.DiffIDs))
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return nil, platform, fmt.Errorf("%w: diff id %q: %w", ErrManifest, d, err)
		}
	}
	return c.RootFS.DiffIDs, c.Platform, nil
}

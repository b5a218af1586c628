package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"

	"github.com/distribution/reference"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationName is where containerd and Docker put the whole name; the spec's own annotation often holds a bare tag.
const annotationName = "io.containerd.image.name"

// layout reads index.json (image-spec, image-layout.md).
func (m *importer) layout() ([]Image, error) {
	var index ocispec.Index
	if err := json.Unmarshal(m.notes[ocispec.ImageIndexFile], &index); err != nil {
		return nil, fmt.Errorf("index.json: %w: %w", ErrFormat, err)
	}
	var images []Image
	for _, d := range index.Manifests {
		if err := d.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("index.json: digest %q: %w", d.Digest, err)
		}
		if _, err := m.store.Info(d.Digest); err != nil {
			return nil, fmt.Errorf("index.json: %w", err)
		}
		name := nameOf(d.Annotations)
		d.Annotations = nil
		images = append(images, Image{name, d})
	}
	return images, nil
}

// nameOf prefers the whole name. But umoci, for one, copies it to the image that it makes out of another: where the spec's own
// annotation is another tag, that is the one that was meant.
func nameOf(annotations map[string]string) string {
	whole, short := annotations[annotationName], annotations[ocispec.AnnotationRefName]
	if whole == "" {
		return short
	}
	named, err := reference.ParseDockerRef(whole)
	if err != nil {
		return whole
	}
	tagged, err := reference.WithTag(reference.TrimNamed(named), short)
	if err != nil {
		return whole // the short one is no bare tag
	}
	return tagged.String()
}

// dockerArchive reads manifest.json of `docker save` and writes the manifest that such an archive lacks.
func (m *importer) dockerArchive() ([]Image, error) {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(m.notes["manifest.json"], &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w: %w", ErrFormat, err)
	}
	var images []Image
	for _, item := range list {
		config, err := m.file(item.Config)
		if err != nil {
			return nil, err
		}
		config.MediaType = ocispec.MediaTypeImageConfig
		manifest := ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{},
		}
		for _, name := range item.Layers {
			l, err := m.file(name)
			if err != nil {
				return nil, err
			}
			if l.MediaType, err = m.layerType(l); err != nil {
				return nil, err
			}
			manifest.Layers = append(manifest.Layers, l)
		}
		target, err := m.manifest(manifest)
		if err != nil {
			return nil, err
		}
		if len(item.RepoTags) == 0 {
			images = append(images, Image{"", target})
		}
		for _, tag := range item.RepoTags {
			images = append(images, Image{tag, target})
		}
	}
	return images, nil
}

func (m *importer) manifest(manifest ocispec.Manifest) (ocispec.Descriptor, error) {
	p, err := json.Marshal(manifest)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := m.put(bytes.NewReader(p), int64(len(p)), "")
	d.MediaType = manifest.MediaType
	return d, err
}

// file finds a blob by its path in the archive, through links.
func (m *importer) file(name string) (ocispec.Descriptor, error) {
	p := path.Clean(name)
	for range 8 {
		if d, ok := m.files[p]; ok {
			return d, nil
		}
		next, ok := m.links[p]
		if !ok {
			break
		}
		p = next
	}
	return ocispec.Descriptor{}, fmt.Errorf("manifest.json: %q is not in the archive: %w", name, ErrFormat)
}

// layerType looks at the first bytes: docker save keeps layers plain, others compress them.
func (m *importer) layerType(d ocispec.Descriptor) (string, error) {
	r, err := m.store.ReaderAt(d.Digest)
	if err != nil {
		return "", err
	}
	defer r.Close()
	magic := make([]byte, 4)
	n, _ := r.ReadAt(magic, 0) // a shorter layer is a plain one, and its unpacking will tell what is wrong with it
	switch {
	case bytes.HasPrefix(magic[:n], []byte{0x1f, 0x8b}):
		return ocispec.MediaTypeImageLayerGzip, nil
	case bytes.HasPrefix(magic[:n], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return ocispec.MediaTypeImageLayerZstd, nil
	}
	return ocispec.MediaTypeImageLayer, nil
}

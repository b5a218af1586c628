package toolbox

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Name is the image's canonical reference; `slipway/toolbox` is its familiar form.
const Name = "docker.io/slipway/toolbox:latest"

// Image is a whole OCI image in memory.
type Image struct {
	Name       string
	Manifest   []byte             // application/vnd.oci.image.manifest.v1+json
	Descriptor ocispec.Descriptor // of Manifest, with the platform
	Config     []byte             // application/vnd.oci.image.config.v1+json
	Layers     []Layer
	Blobs      []Blob // everything to be stored, children before parents: layers, config, manifest
}

// Blob is one stored object.
type Blob struct {
	Descriptor ocispec.Descriptor
	data       []byte
}

// Open returns a fresh reader of the blob's bytes.
func (b Blob) Open() io.ReadSeeker { return bytes.NewReader(b.data) }

// Bytes returns the blob's bytes, which must not be changed.
func (b Blob) Bytes() []byte { return b.data }

// Layer is a blob that holds an uncompressed tar, so its digest is its diff id too.
type Layer struct {
	Blob
	DiffID digest.Digest
}

// Compose builds the image around a static slipway-toolbox program. The same program gives the same bytes.
func Compose(program []byte) (*Image, error) {
	platform, err := platformOf(program)
	if err != nil {
		return nil, err
	}
	tar, err := layerTar(program)
	if err != nil {
		return nil, fmt.Errorf("compose %s: layer: %w", Name, err)
	}
	layer := newBlob(ocispec.MediaTypeImageLayer, tar)
	config, err := encode(ocispec.MediaTypeImageConfig, imageConfig(platform, layer.Descriptor.Digest))
	if err != nil {
		return nil, err
	}
	manifest, err := encode(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config.Descriptor,
		Layers:    []ocispec.Descriptor{layer.Descriptor},
	})
	if err != nil {
		return nil, err
	}
	manifest.Descriptor.Platform = &platform
	return &Image{
		Name: Name, Manifest: manifest.data, Descriptor: manifest.Descriptor, Config: config.data,
		Layers: []Layer{{layer, layer.Descriptor.Digest}},
		Blobs:  []Blob{layer, config, manifest},
	}, nil
}

func newBlob(mediaType string, data []byte) Blob {
	return Blob{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}
}

func encode(mediaType string, value any) (Blob, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return Blob{}, fmt.Errorf("compose %s: %s: %w", Name, mediaType, err)
	}
	return newBlob(mediaType, data), nil
}

// imageConfig is what `docker inspect` shows. It has no creation time: the image is a function of the program alone.
func imageConfig(platform ocispec.Platform, diffID digest.Digest) ocispec.Image {
	return ocispec.Image{
		Platform: platform,
		Config: ocispec.ImageConfig{
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Cmd: []string{"sh"},
			Labels: map[string]string{
				ocispec.AnnotationTitle:       "slipway/toolbox",
				ocispec.AnnotationDescription: "a shell and small commands, built from Go",
				ocispec.AnnotationLicenses:    "Apache-2.0",
			},
		},
		RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History: []ocispec.History{{CreatedBy: "slipway-toolbox", Comment: "embedded in slipway-daemon"}},
	}
}

// platformOf reads the architecture from the program's ELF header and refuses one that needs a dynamic loader: the image has none.
func platformOf(program []byte) (ocispec.Platform, error) {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return ocispec.Platform{}, fmt.Errorf("compose %s: the program: %w", Name, err)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return ocispec.Platform{}, fmt.Errorf("compose %s: the program is not static (build it with CGO_ENABLED=0): %w", Name, errors.ErrUnsupported)
		}
	}
	architectures := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x",
	}
	architecture, known := architectures[file.Machine]
	if !known {
		return ocispec.Platform{}, fmt.Errorf("compose %s: machine %s: %w", Name, file.Machine, errors.ErrUnsupported)
	}
	return ocispec.Platform{OS: "linux", Architecture: architecture}, nil
}

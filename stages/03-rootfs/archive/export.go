package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// Format is how an image is written.
type Format string

// The formats, by the names that skopeo gives them.
const (
	OCI           Format = "oci"            // the directory of an OCI image layout; one that is there gets the image added
	OCIArchive    Format = "oci-archive"    // the same as a tar
	DockerArchive Format = "docker-archive" // what `docker load` reads
)

// ExportPath writes an image or index of the store to a path; "-" is out. A file appears when it is whole, and a failure leaves nothing.
func ExportPath(ctx context.Context, format Format, path string, out io.Writer, image Image, store *content.Store) error {
	e := exporter{ctx: ctx, store: store, image: image}
	var err error
	switch {
	case format != OCI && format != OCIArchive && format != DockerArchive:
		err = fmt.Errorf("format %q: oci, oci-archive and docker-archive are known", format)
	case format == OCI && path == "-":
		err = errors.New("format oci is a directory: oci-archive goes to standard output")
	case format == OCI:
		err = e.directory(path)
	case path == "-":
		err = e.archive(format, out)
	default:
		err = e.file(format, path)
	}
	if err != nil {
		return fmt.Errorf("export %s to %s: %w", image.Name, path, err)
	}
	return nil
}

// exporter is one export.
type exporter struct {
	ctx   context.Context // of this call
	store *content.Store
	image Image
}

// sink takes the files of an image: a directory or a tar.
type sink interface {
	file(name string, size int64, r io.Reader) error
}

func (e *exporter) file(format Format, path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	err = errors.Join(e.archive(format, f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (e *exporter) archive(format Format, w io.Writer) error {
	t := &tarSink{tar.NewWriter(w)}
	write := e.layout
	if format == DockerArchive {
		write = e.docker
	}
	return errors.Join(write(t, nil), t.tar.Close())
}

func (e *exporter) directory(path string) (err error) {
	d := &dirSink{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.undo())
		}
	}()
	if err := d.mkdir(""); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	var others []ocispec.Descriptor
	if len(entries) > 0 {
		if others, err = layoutIn(path); err != nil {
			return err
		}
	}
	return e.layout(d, others)
}

// layout writes an OCI image layout (image-spec, image-layout.md): the index last, for it is what makes the rest count.
func (e *exporter) layout(to sink, others []ocispec.Descriptor) error {
	parts, err := pull.Parts(e.store, e.image.Target)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := e.blob(to, p.Digest, filepath.Join("blobs", p.Digest.Algorithm().String(), p.Digest.Encoded())); err != nil {
			return err
		}
	}
	if err := putJSON(to, ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}); err != nil {
		return err
	}
	own := e.image.Target
	own.Annotations = map[string]string{annotationName: e.image.Name, ocispec.AnnotationRefName: tagOf(e.image.Name)}
	others = slices.DeleteFunc(others, func(d ocispec.Descriptor) bool {
		return d.Annotations[ocispec.AnnotationRefName] == own.Annotations[ocispec.AnnotationRefName]
	})
	return putJSON(to, ocispec.ImageIndexFile, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: append(others, own),
	})
}

// tagOf is the name within a layout, as umoci and skopeo use it.
func tagOf(name string) string {
	named, err := reference.ParseDockerRef(name)
	if tagged, ok := named.(reference.Tagged); err == nil && ok {
		return tagged.Tag()
	}
	return "latest"
}

// docker writes what `docker save` did: plain layers named by their digests, the config, and manifest.json that tells their order.
func (e *exporter) docker(to sink, _ []ocispec.Descriptor) error {
	img, err := pull.ReadImage(e.store, e.image.Target, nil)
	if err != nil {
		return err
	}
	item := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: img.Config.Digest.Encoded() + ".json"}
	if named, err := reference.ParseDockerRef(e.image.Name); err == nil {
		if _, ok := named.(reference.Tagged); ok {
			item.RepoTags = []string{reference.FamiliarString(named)}
		}
	}
	written := map[string]bool{}
	for i, l := range img.Layers {
		name := img.DiffIDs[i].Encoded() + ".tar"
		item.Layers = append(item.Layers, name)
		if written[name] {
			continue
		}
		written[name] = true
		if err := e.plain(to, l.Digest, img.DiffIDs[i], name); err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
	}
	if err := e.blob(to, img.Config.Digest, item.Config); err != nil {
		return err
	}
	return putJSON(to, "manifest.json", []any{item})
}

// plain writes a layer uncompressed. A tar wants to know the size first, so the layer is read twice; the first time tells whether it
// is the right one.
func (e *exporter) plain(to sink, d, diffID digest.Digest, name string) error {
	verifier, size := diffID.Verifier(), int64(0)
	err := e.decompressed(d, func(r io.Reader) (err error) {
		size, err = io.Copy(verifier, r)
		return err
	})
	if err != nil {
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("%w: it is not the layer %s that the config promises", pull.ErrDigest, diffID)
	}
	return e.decompressed(d, func(r io.Reader) error { return to.file(name, size, r) })
}

func (e *exporter) decompressed(d digest.Digest, fn func(io.Reader) error) (err error) {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	blob, err := e.store.ReaderAt(d)
	if err != nil {
		return err
	}
	defer blob.Close()
	r, err := layer.Decompress(io.NewSectionReader(blob, 0, blob.Size()))
	if err != nil {
		return err
	}
	defer r.Close()
	return fn(r)
}

// blob writes a blob as it is, held against its digest.
func (e *exporter) blob(to sink, d digest.Digest, name string) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	blob, err := e.store.ReaderAt(d)
	if err != nil {
		return err
	}
	defer blob.Close()
	verifier := d.Verifier()
	if err := to.file(name, blob.Size(), io.TeeReader(io.NewSectionReader(blob, 0, blob.Size()), verifier)); err != nil {
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("%w: the store holds something else as %s", pull.ErrDigest, d)
	}
	return nil
}

func putJSON(to sink, name string, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return to.file(name, int64(len(p)), bytes.NewReader(p))
}

// Package archive takes images out of tar files: those of `docker save`, and OCI image layouts.
package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
)

// ErrFormat tells that it is no archive of images.
var ErrFormat = errors.New("neither an OCI layout nor a docker archive")

// What is read into memory of an archive (CVE-2023-25153).
const (
	maxIndex   = 8 << 20 // bytes of index.json or manifest.json
	maxEntries = 200_000
	maxName    = 4096
)

// Image is one that was imported. Name is what the archive calls it, perhaps "".
type Image struct {
	Name   string
	Target ocispec.Descriptor
}

// ImportPath imports from a tar file, from in when path is "-", or from the directory of an OCI layout.
func ImportPath(ctx context.Context, name string, in io.Reader, store *content.Store) ([]Image, error) {
	if name == "-" {
		return Import(ctx, in, store)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return Import(ctx, f, store)
	}
	pr, pw := io.Pipe()
	defer pr.Close()
	go func() { // ends when everything is written, or with pr.Close
		w := tar.NewWriter(pw)
		err := w.AddFS(os.DirFS(name))
		pw.CloseWithError(errors.Join(err, w.Close()))
	}()
	return Import(ctx, pr, store)
}

// Import reads a tar, compressed or not, in one pass. Each blob is held against its digest. When it fails, what it had added to the
// store is removed.
func Import(ctx context.Context, r io.Reader, store *content.Store) (images []Image, err error) {
	plain, err := layer.Decompress(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	m := &importer{ctx: ctx, store: store, files: map[string]ocispec.Descriptor{}, links: map[string]string{}, notes: map[string][]byte{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("import: %w", err), m.undo())
		}
	}()
	if err := m.read(tar.NewReader(plain)); err != nil {
		return nil, err
	}
	switch {
	case m.notes[ocispec.ImageIndexFile] != nil:
		return m.layout()
	case m.notes["manifest.json"] != nil:
		return m.dockerArchive()
	}
	return nil, ErrFormat
}

// importer is one Import.
type importer struct {
	ctx   context.Context // of this call
	store *content.Store
	files map[string]ocispec.Descriptor // blobs by their path in the archive
	links map[string]string             // an old docker save links layers that are the same
	notes map[string][]byte             // index.json and manifest.json
	added []digest.Digest
}

func (m *importer) read(tr *tar.Reader) error {
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if n >= maxEntries || len(h.Name) > maxName || len(h.Linkname) > maxName {
			return fmt.Errorf("more than %d entries, or a name of more than %d bytes: %w", maxEntries, maxName, ErrFormat)
		}
		if err := m.entry(h, tr, path.Clean(strings.TrimLeft(h.Name, "/"))); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

func (m *importer) entry(h *tar.Header, r io.Reader, name string) (err error) {
	switch {
	case h.Typeflag == tar.TypeSymlink:
		m.links[name] = path.Join(path.Dir(name), h.Linkname)
	case h.Typeflag == tar.TypeLink:
		m.links[name] = path.Clean(h.Linkname)
	case h.Typeflag != tar.TypeReg:
	case name == ocispec.ImageIndexFile || name == "manifest.json":
		if h.Size > maxIndex {
			return fmt.Errorf("%d bytes: %w", h.Size, ErrFormat)
		}
		m.notes[name], err = io.ReadAll(r)
	case strings.HasPrefix(name, "blobs/"):
		algorithm, hex, _ := strings.Cut(strings.TrimPrefix(name, "blobs/"), "/")
		d := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex)
		if err := d.Validate(); err != nil {
			return err
		}
		m.files[name], err = m.put(r, h.Size, d)
	case strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".json") && !strings.Contains(name, "/"):
		m.files[name], err = m.put(r, h.Size, "")
	}
	return err
}

// put writes a blob and gives its descriptor, still without a media type.
func (m *importer) put(r io.Reader, size int64, expected digest.Digest) (ocispec.Descriptor, error) {
	ref := fmt.Sprintf("import-%p-%d", m, len(m.files))
	w, err := m.store.Writer(ref, size, expected)
	if errors.Is(err, content.ErrExists) {
		return ocispec.Descriptor{Digest: expected, Size: size}, nil
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := m.fill(w, r, size, expected)
	if err != nil && !errors.Is(err, content.ErrExists) {
		err = errors.Join(err, w.Close())
		if abort := m.store.Abort(ref); !errors.Is(abort, content.ErrNotFound) {
			err = errors.Join(err, abort)
		}
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{Digest: d, Size: size}, nil
}

func (m *importer) fill(w *content.Writer, r io.Reader, size int64, expected digest.Digest) (digest.Digest, error) {
	if err := w.Truncate(0); err != nil {
		return "", err
	}
	if _, err := io.CopyBuffer(w, r, make([]byte, min(512<<10, size+1))); err != nil {
		return "", err
	}
	d, err := w.Commit(size, expected)
	if err == nil {
		m.added = append(m.added, d)
	}
	return d, err
}

func (m *importer) undo() error {
	var failed error
	for _, d := range m.added {
		if err := m.store.Delete(d); err != nil && !errors.Is(err, content.ErrNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

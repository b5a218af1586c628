// Package layout gives blobs names: it keeps the index.json of an OCI image layout beside a content store, so that the
// directory is one that every other tool can read (image-spec, image-layout.md): `skopeo inspect oci:DIR:NAME`.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNotFound tells that no image has this name.
var ErrNotFound = errors.New("no such image")

const maxIndex = 64 << 20

// Layout is a directory with an index. It is for one process at a time.
type Layout struct{ dir string }

// Open makes dir a layout when it is none yet.
func Open(dir string) (*Layout, error) {
	l := &Layout{dir}
	mark, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(l.path(ocispec.ImageLayoutFile)); errors.Is(err, fs.ErrNotExist) {
		if err := l.replace(ocispec.ImageLayoutFile, mark); err != nil {
			return nil, fmt.Errorf("image layout %s: %w", dir, err)
		}
		if err := l.write(nil); err != nil {
			return nil, fmt.Errorf("image layout %s: %w", dir, err)
		}
	}
	return l, nil
}

func (l *Layout) path(name string) string { return filepath.Join(l.dir, name) }

// List gives all descriptors, named ones and others.
func (l *Layout) List() ([]ocispec.Descriptor, error) { return Read(l.dir) }

// Read gives the descriptors of the layout in dir, which may be anybody's.
func Read(dir string) ([]ocispec.Descriptor, error) {
	path := filepath.Join(dir, ocispec.ImageIndexFile)
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxIndex {
		return nil, fmt.Errorf("%s: %d bytes are too many", path, fi.Size())
	}
	p, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(p, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range index.Manifests {
		if err := m.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("%s: digest %q: %w", path, m.Digest, err)
		}
	}
	return index.Manifests, nil
}

// Name is that of a descriptor, "" when it has none.
func Name(d ocispec.Descriptor) string { return d.Annotations[ocispec.AnnotationRefName] }

// Get gives what name stands for.
func (l *Layout) Get(name string) (ocispec.Descriptor, error) {
	all, err := l.List()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, d := range all {
		if Name(d) == name {
			return d, nil
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("%s: %w", name, ErrNotFound)
}

// Set makes name stand for d, whatever it stood for before.
func (l *Layout) Set(name string, d ocispec.Descriptor) error {
	all, err := l.List()
	if err != nil {
		return err
	}
	d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	all = slices.DeleteFunc(all, func(o ocispec.Descriptor) bool { return Name(o) == name })
	return l.write(append(all, d))
}

// Remove forgets a name.
func (l *Layout) Remove(name string) error {
	all, err := l.List()
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(all), func(o ocispec.Descriptor) bool { return Name(o) == name })
	if len(rest) == len(all) {
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return l.write(rest)
}

func (l *Layout) write(all []ocispec.Descriptor) error {
	if all == nil {
		all = []ocispec.Descriptor{} // the spec wants a list, not null
	}
	p, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: all})
	if err != nil {
		return err
	}
	return l.replace(ocispec.ImageIndexFile, p)
}

// replace writes a file so that after a crash it is the old or the new one, and whole.
func (l *Layout) replace(name string, p []byte) error {
	tmp := l.path(name + ".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, l.path(name))
}

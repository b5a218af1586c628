package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layout"
)

// tarSink writes files into a tar. Without times, so that the same image gives the same archive.
type tarSink struct{ tar *tar.Writer }

func (t *tarSink) file(name string, size int64, r io.Reader) error {
	if err := t.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o644, Size: size}); err != nil {
		return err
	}
	n, err := io.Copy(t.tar, r)
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// dirSink writes files below a directory, and knows which of them are new.
type dirSink struct {
	path string
	made []string
}

func (d *dirSink) mkdir(name string) error {
	dir := filepath.Join(d.path, name)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) && name != "" {
		if err := d.mkdir(filepath.Dir(name)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		d.made = append(d.made, dir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// file leaves a blob that is there, because its name says what it is; index.json is replaced.
func (d *dirSink) file(name string, size int64, r io.Reader) error {
	path := filepath.Join(d.path, name)
	if fi, err := os.Stat(path); err == nil && filepath.Dir(name) != "." && fi.Size() == size {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	if err := d.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		_, there := os.Stat(path)
		if err = os.Rename(f.Name(), path); err == nil && there != nil {
			d.made = append(d.made, path)
		}
	}
	if err != nil {
		return errors.Join(err, ignoreAbsent(os.Remove(f.Name())))
	}
	return nil
}

// undo removes what was made, and leaves what was there before.
func (d *dirSink) undo() error {
	var failed error
	for _, path := range slices.Backward(d.made) {
		failed = errors.Join(failed, ignoreAbsent(os.Remove(path)))
	}
	return failed
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// layoutIn reads the layout that a directory must be which is not empty.
func layoutIn(path string) ([]ocispec.Descriptor, error) {
	if _, err := os.Stat(filepath.Join(path, ocispec.ImageLayoutFile)); err != nil {
		return nil, fmt.Errorf("a directory that is not empty and no OCI layout: %w", err)
	}
	return layout.Read(path)
}

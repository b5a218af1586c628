package content

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	_ "crypto/sha256" // makes the algorithm available to go-digest
	_ "crypto/sha512" // sha384 too

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Store is a content store on disk. Several processes may use one directory at the same time.
type Store struct {
	dir string // immutable
}

// Open opens the store in dir and makes it when it is not there.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	for _, sub := range []string{"blobs/" + digest.Canonical.String(), "ingest"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open content store: %w", err)
		}
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("open content store: %w", err)
	}
	return s, nil
}

// sweep removes what a kill left of ingests that were just beginning or just done: directories without data that nobody has locked.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "ingest"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(s.dir, "ingest", e.Name())
		if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			continue // somebody is at work there, or it is gone
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Dir is the directory of the store.
func (s *Store) Dir() string { return s.dir }

// path gives the file of a blob. It is the only way from a digest to a path: a digest that is not well-formed
// never reaches the file system (CVE-2024-3727).
func (s *Store) path(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w: %w", d, ErrInvalid, err)
	}
	return filepath.Join(s.dir, "blobs", d.Algorithm().String(), d.Encoded()), nil
}

// Info tells about a blob; ErrNotFound when it is not there.
func (s *Store) Info(d digest.Digest) (Info, error) {
	path, err := s.path(d)
	if err != nil {
		return Info{}, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, blobError(d, err)
	}
	return infoOf(d, fi), nil
}

func infoOf(d digest.Digest, fi fs.FileInfo) Info {
	// A blob is never written after its rename, so its modification time is when it was made.
	return Info{Digest: d, Size: fi.Size(), CreatedAt: fi.ModTime(), UpdatedAt: fi.ModTime()}
}

func blobError(d digest.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("content %s: %w", d, ErrNotFound)
	}
	return fmt.Errorf("content %s: %w", d, err)
}

// ReaderAt opens a blob; ErrNotFound when it is not there.
func (s *Store) ReaderAt(d digest.Digest) (ReaderAt, error) {
	path, err := s.path(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, blobError(d, err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, blobError(d, err)
	}
	return &blob{File: f, size: fi.Size()}, nil
}

// blob is an open blob. As an *os.File it is an io.Reader too.
type blob struct {
	*os.File
	size int64
}

func (b *blob) Size() int64 { return b.size }

// ReadAll gives a whole blob, or an error when it is larger than limit bytes.
func (s *Store) ReadAll(d digest.Digest, limit int64) ([]byte, error) {
	r, err := s.ReaderAt(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > limit {
		return nil, fmt.Errorf("content %s: %d bytes where at most %d are read: %w", d, r.Size(), limit, ErrInvalid)
	}
	p := make([]byte, r.Size())
	if _, err := r.ReadAt(p, 0); err != nil {
		return nil, blobError(d, err)
	}
	return p, nil
}

// Walk calls fn for each blob, in no order. It stops at the first error.
func (s *Store) Walk(fn func(Info) error) error {
	algorithms, err := os.ReadDir(filepath.Join(s.dir, "blobs"))
	if err != nil {
		return fmt.Errorf("walk content: %w", err)
	}
	for _, a := range algorithms {
		entries, err := os.ReadDir(filepath.Join(s.dir, "blobs", a.Name()))
		if err != nil {
			return fmt.Errorf("walk content: %w", err)
		}
		for _, e := range entries {
			if err := visit(digest.NewDigestFromEncoded(digest.Algorithm(a.Name()), e.Name()), e, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// visit passes over what is not a blob (somebody's editor file) and what was deleted since the listing.
func visit(d digest.Digest, e fs.DirEntry, fn func(Info) error) error {
	if d.Validate() != nil {
		return nil
	}
	fi, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return blobError(d, err)
	}
	return fn(infoOf(d, fi))
}

// Delete removes a blob; ErrNotFound when it is not there. Open readers go on reading.
func (s *Store) Delete(d digest.Digest) error {
	path, err := s.path(d)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return blobError(d, err)
	}
	return nil
}

// syncDir makes renames in dir durable (fsync(2), "does not necessarily ensure that the entry in the directory … reached disk").
func syncDir(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil {
		return &fs.PathError{Op: "fsync", Path: dir, Err: err}
	}
	return nil
}

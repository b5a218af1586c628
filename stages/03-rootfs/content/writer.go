package content

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Writer writes one blob. It hashes what it writes, so the bytes are passed over once.
// It is for one goroutine.
type Writer struct {
	store     *Store
	dir       string
	lock      *os.File // the directory
	file      *os.File // nil once committed or closed
	algorithm digest.Algorithm
	hash      hash.Hash
	status    Status
	flushed   int64 // the kernel was told to write this much back
}

// Writer begins the ingest ref, or resumes it at Status().Offset. total (0: unknown) and expected ("": unknown) are what Commit
// will be held to. ErrLocked while somebody else writes this ref; ErrExists when the expected blob is there.
func (s *Store) Writer(ref string, total int64, expected digest.Digest) (*Writer, error) {
	if expected != "" {
		if _, err := s.Info(expected); err == nil {
			return nil, fmt.Errorf("content %s: %w", expected, ErrExists)
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	w, err := s.openWriter(ref, total, expected)
	if err != nil {
		return nil, fmt.Errorf("ingest %s: %w", refName(ref), err)
	}
	return w, nil
}

func (s *Store) openWriter(ref string, total int64, expected digest.Digest) (*Writer, error) {
	dir := s.ingestDir(ref)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock, err := lockDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrLocked // the one who held it removed it just now
	}
	if err != nil {
		return nil, err
	}
	w := &Writer{store: s, dir: dir, lock: lock, algorithm: digest.Canonical}
	if expected != "" {
		w.algorithm = expected.Algorithm()
	}
	if err := w.resume(ref, total, expected); err != nil {
		return nil, errors.Join(err, w.letGo())
	}
	return w, nil
}

// resume hashes what an earlier writer left. What was promised for another blob does not count. The notes are written before data
// is made: where there is data, they are whole.
func (w *Writer) resume(ref string, total int64, expected digest.Digest) error {
	old, err := readStatus(w.dir)
	other := old.Expected != expected && old.Expected != "" && expected != ""
	flags := os.O_RDWR
	if err != nil || old.Offset == 0 || other {
		flags |= os.O_CREATE | os.O_TRUNC
		if err := writeNotes(w.dir, ref, total, expected); err != nil {
			return err
		}
	}
	if w.file, err = os.OpenFile(filepath.Join(w.dir, "data"), flags, 0o600); err != nil {
		return err
	}
	if w.status, err = readStatus(w.dir); err != nil {
		return err
	}
	if total > 0 {
		w.status.Total = total
	}
	if expected != "" {
		w.status.Expected = expected
	}
	return w.rehash(w.status.Offset)
}

// rehash makes the hash that of the first n bytes and puts the file's position behind them.
func (w *Writer) rehash(n int64) error {
	w.hash = w.algorithm.Hash()
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyN(onlyWriter{w.hash}, w.file, n); err != nil {
		return err
	}
	w.status.Offset = n
	return nil
}

// onlyWriter hides all other methods, so that io.Copy takes a buffer of its own.
type onlyWriter struct{ io.Writer }

// Status tells how far the ingest is.
func (w *Writer) Status() Status { return w.status }

// Digest is that of what was written so far.
func (w *Writer) Digest() digest.Digest { return digest.NewDigest(w.algorithm, w.hash) }

// Write appends. After an error the ingest still holds what Status says.
func (w *Writer) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, fmt.Errorf("ingest %s: %w", refName(w.status.Ref), fs.ErrClosed)
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.status.Offset += int64(n)
	w.writeBack()
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // the file's name is a hash, which tells nobody anything
		}
		return n, fmt.Errorf("ingest %s: write: %w", refName(w.status.Ref), err)
	}
	return n, nil
}

// writeBack starts the disk on each eight mebibytes as they come, so that the fsync of Commit finds little left
// to do (sync_file_range(2)). It is advice: where a file system does not know it, fsync does all.
func (w *Writer) writeBack() {
	const step = 8 << 20
	for w.status.Offset-w.flushed >= step {
		_ = unix.SyncFileRange(int(w.file.Fd()), w.flushed, step, unix.SYNC_FILE_RANGE_WRITE)
		w.flushed += step
	}
}

// Truncate forgets all but the first n bytes; n may not be more than there is.
func (w *Writer) Truncate(n int64) error {
	if w.file == nil || n < 0 || n > w.status.Offset {
		return fmt.Errorf("ingest %s: truncate to %d of %d bytes: %w", refName(w.status.Ref), n, w.status.Offset, ErrInvalid)
	}
	if err := w.file.Truncate(n); err != nil {
		return fmt.Errorf("ingest %s: %w", refName(w.status.Ref), err)
	}
	w.flushed = min(w.flushed, n)
	if err := w.rehash(n); err != nil {
		return fmt.Errorf("ingest %s: %w", refName(w.status.Ref), err)
	}
	return nil
}

// Commit verifies and publishes the blob: size 0 or expected "" mean that only what the Writer was opened with counts.
// ErrDigest when it is another blob than was promised; then the ingest stays as it is, for Truncate or Abort.
// ErrExists when the blob was there already; then the ingest is gone. After success the Writer is closed.
func (w *Writer) Commit(size int64, expected digest.Digest) (digest.Digest, error) {
	if w.file == nil {
		return "", fmt.Errorf("ingest %s: %w", refName(w.status.Ref), fs.ErrClosed)
	}
	d, err := w.verify(size, expected)
	if err != nil {
		return "", err
	}
	path, err := w.store.path(d)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return d, errors.Join(fmt.Errorf("content %s: %w", d, ErrExists), os.RemoveAll(w.dir), w.Close())
	}
	if err := w.publish(path); err != nil {
		return "", fmt.Errorf("content %s: %w", d, err)
	}
	return d, nil
}

// verify holds what was written against the sizes (0: none) and digests ("": none) that were promised, with Commit and before, and gives its
// digest: the name that it gets.
func (w *Writer) verify(size int64, expected digest.Digest) (digest.Digest, error) {
	if expected != "" && expected.Validate() == nil && expected.Algorithm() != w.algorithm {
		w.algorithm = expected.Algorithm()
		if err := w.rehash(w.status.Offset); err != nil {
			return "", fmt.Errorf("ingest %s: %w", refName(w.status.Ref), err)
		}
	}
	//ex:begin rootfs.verify
	for _, want := range []int64{size, w.status.Total} {
		if want > 0 && want != w.status.Offset {
			return "", fmt.Errorf("ingest %s: %d bytes where %d were promised: %w", refName(w.status.Ref), w.status.Offset, want, ErrDigest)
		}
	}
	d := w.Digest()
	for _, want := range []digest.Digest{expected, w.status.Expected} {
		if want != "" && want != d && want.Algorithm() == w.algorithm {
			return "", fmt.Errorf("ingest %s: %s where %s was promised: %w", refName(w.status.Ref), d, want, ErrDigest)
		}
	}
	return d, nil
	//ex:stub
	// return "", todo.Exercise("rootfs.verify")
	//ex:end rootfs.verify
}

// publish makes the blob appear. The order is what makes a crash harmless: data on disk, then its name, then the
// directory that holds the name.
func (w *Writer) publish(path string) error {
	if err := w.file.Chmod(0o444); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Rename(filepath.Join(w.dir, "data"), path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(w.dir), w.Close())
}

// Close lets go of the ingest and keeps what was written, for a later Writer of the same ref.
func (w *Writer) Close() error {
	if w.lock == nil {
		return nil
	}
	return w.letGo()
}

func (w *Writer) letGo() error {
	err := w.lock.Close()
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	w.file, w.lock = nil, nil
	return err
}

package content

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// An ingest is a directory below ingest/. Its name is the digest of the ref, because a ref may hold any bytes and be of any length.
// Its files are ref, startedat (the time, as text), total (the size promised, as text), expected (the digest promised) and data.

func (s *Store) ingestDir(ref string) string {
	return filepath.Join(s.dir, "ingest", digest.FromString(ref).Encoded())
}

// Status tells about one ingest; ErrNotFound when there is none of that ref.
func (s *Store) Status(ref string) (Status, error) {
	st, err := readStatus(s.ingestDir(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return Status{}, fmt.Errorf("ingest %s: %w", refName(ref), ErrNotFound)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ingest %s: %w", refName(ref), err)
	}
	return st, nil
}

// Statuses tells about all ingests, in no order.
func (s *Store) Statuses() ([]Status, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "ingest"))
	if err != nil {
		return nil, fmt.Errorf("list ingests: %w", err)
	}
	var all []Status
	for _, e := range entries {
		st, err := readStatus(filepath.Join(s.dir, "ingest", e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // committed or aborted since the listing, or cut off before it began
		}
		if err != nil {
			return nil, fmt.Errorf("list ingests: %w", err)
		}
		all = append(all, st)
	}
	return all, nil
}

func readStatus(dir string) (Status, error) {
	fi, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		return Status{}, err
	}
	ref, err := os.ReadFile(filepath.Join(dir, "ref"))
	if err != nil {
		return Status{}, err
	}
	st := Status{Ref: string(ref), Offset: fi.Size(), StartedAt: fi.ModTime(), UpdatedAt: fi.ModTime()}
	// The other files are notes: one that a crash cut off says nothing.
	if p, err := os.ReadFile(filepath.Join(dir, "startedat")); err == nil {
		if t, err := time.Parse(time.RFC3339Nano, string(p)); err == nil {
			st.StartedAt = t
		}
	}
	if p, err := os.ReadFile(filepath.Join(dir, "total")); err == nil {
		st.Total, _ = strconv.ParseInt(string(p), 10, 64) // 0, unknown, when it is no number
	}
	if p, err := os.ReadFile(filepath.Join(dir, "expected")); err == nil && digest.Digest(p).Validate() == nil {
		st.Expected = digest.Digest(p)
	}
	return st, nil
}

// Abort throws an ingest away; ErrNotFound when there is none of that ref, ErrLocked while somebody writes it.
func (s *Store) Abort(ref string) error {
	dir := s.ingestDir(ref)
	lock, err := lockDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ingest %s: %w", refName(ref), ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("ingest %s: %w", refName(ref), err)
	}
	defer lock.Close()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("ingest %s: %w", refName(ref), err)
	}
	return nil
}

// lockDir locks the directory of an ingest for as long as the result is open; the lock ends with the process (flock(2)).
// After the lock it looks again: the one who held it may have finished and removed the directory.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, &fs.PathError{Op: "flock", Path: dir, Err: err}
	}
	mine, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if now, err := os.Stat(dir); err != nil || !os.SameFile(mine, now) {
		f.Close()
		return nil, ErrLocked
	}
	return f, nil
}

// writeNotes writes the files beside data. They are not synced: an ingest that a power cut took away is downloaded again.
func writeNotes(dir, ref string, total int64, expected digest.Digest) error {
	notes := map[string]string{
		"ref": ref, "startedat": time.Now().UTC().Format(time.RFC3339Nano),
		"total": strconv.FormatInt(total, 10), "expected": expected.String(),
	}
	for name, text := range notes {
		err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		if err != nil {
			return err
		}
	}
	return nil
}

// refName shortens a ref for messages.
func refName(ref string) string {
	ref = strings.ToValidUTF8(ref, "?")
	if len(ref) > 120 {
		return ref[:120] + "…"
	}
	return ref
}

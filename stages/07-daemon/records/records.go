// Package records keeps what users asked for: one directory for each thing, one checksummed JSON file in it.
//
// A record is intent and identity, never state that the kernel knows. Once Save has returned, the record survives
// the death of the daemon and of the machine: temporary file, fsync, rename, fsync of the directory.
// A record that does not match its checksum is moved aside and reported; the others load.
package records

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Version is the format of the envelope. A reader refuses a version it does not know.
	Version = 1

	fileName    = "record.json"
	doomed      = ".removing-"
	quarantined = "record.json.corrupt"
)

// envelope is what stands on the disk. Sum covers the bytes of Body exactly as they are written.
type envelope struct {
	Version int             `json:"version"`
	Sum     string          `json:"sha256"`
	Body    json.RawMessage `json:"body"`
}

// Store holds records of one type below a directory of mode 0700.
type Store[T any] struct{ dir string }

// Open makes the directory where it is missing, and finishes removals that a crash cut short.
func Open[T any](dir string) (*Store[T], error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), doomed) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return &Store[T]{dir: dir}, nil
}

// Dir is the directory of one record; its owner may keep other files there, and Delete removes them too.
func (s *Store[T]) Dir(id string) string { return filepath.Join(s.dir, id) }

// validID keeps an id a single path component: an id must never name another directory, or all of them.
func validID(id string) error {
	if id == "" || strings.HasPrefix(id, ".") || strings.ContainsAny(id, "/\x00") {
		return fmt.Errorf("%q is not an id", id)
	}
	return nil
}

// Save writes a record so that it is there, whole, after any crash that follows.
func (s *Store[T]) Save(id string, body T) error {
	if err := validID(id); err != nil {
		return err
	}
	data, err := encode(body)
	if err != nil {
		return fmt.Errorf("encode record %s: %w", id, err)
	}
	dir := s.Dir(id)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := replaceFile(filepath.Join(dir, fileName), data); err != nil {
		return fmt.Errorf("save record %s: %w", id, err)
	}
	return nil
}

// Delete removes the record and its directory. The rename is the moment when it is gone.
func (s *Store[T]) Delete(id string) error {
	if err := validID(id); err != nil {
		return err
	}
	away := filepath.Join(s.dir, doomed+id)
	if err := os.Rename(s.Dir(id), away); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	return os.RemoveAll(away)
}

// Corrupt names a record that could not be read, and where it was put.
type Corrupt struct {
	ID    string
	Path  string
	Cause error
}

func (c Corrupt) Error() string {
	return fmt.Sprintf("record %s is damaged (%v); kept as %s", c.ID, c.Cause, c.Path)
}

// LoadAll reads every record. Damaged ones are renamed to record.json.corrupt and returned in the second result;
// a directory whose record was never written (a create that was cut short) is in neither.
func (s *Store[T]) LoadAll() (map[string]T, []Corrupt, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, err
	}
	good, bad := map[string]T{}, []Corrupt(nil)
	for _, e := range entries {
		id := e.Name()
		if !e.IsDir() || strings.HasPrefix(id, ".") {
			continue
		}
		path := filepath.Join(s.dir, id, fileName)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var body T
		if err == nil {
			body, err = decode[T](data)
		}
		if err != nil {
			aside := filepath.Join(s.dir, id, quarantined)
			bad = append(bad, Corrupt{ID: id, Path: aside, Cause: errors.Join(err, os.Rename(path, aside))})
			continue
		}
		good[id] = body
	}
	return good, bad, nil
}

// Known tells whether a directory of this id exists, with a readable record or without one.
func (s *Store[T]) Known(id string) bool {
	_, err := os.Stat(s.Dir(id))
	return err == nil
}

func encode[T any](body T) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return json.Marshal(envelope{Version: Version, Sum: hex.EncodeToString(sum[:]), Body: raw})
}

func decode[T any](data []byte) (T, error) {
	var body T
	var env envelope
	if err := json.Unmarshal(data, &env); err != nil {
		return body, err
	}
	if env.Version != Version {
		return body, fmt.Errorf("version %d, this program reads %d", env.Version, Version)
	}
	sum := sha256.Sum256(env.Body)
	if got := hex.EncodeToString(sum[:]); got != env.Sum {
		return body, fmt.Errorf("checksum %.12s, the file says %.12s", got, env.Sum)
	}
	return body, json.Unmarshal(env.Body, &body)
}

// replaceFile is the classic sequence of rename(2): nobody ever sees half a file.
func replaceFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

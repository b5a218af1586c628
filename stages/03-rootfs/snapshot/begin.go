package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// begin makes the directory of a new snapshot under a name that the next sweep takes away.
func (s *store) begin(subs ...string) (string, error) {
	dir, err := os.MkdirTemp(s.path(), ".new-")
	if err != nil {
		return "", err
	}
	for _, sub := range subs {
		if err := makeRoot(filepath.Join(dir, sub)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// makeRoot makes a directory 0755: it becomes "/" of a container. What is above it is 0700 (CVE-2021-41091).
func makeRoot(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// publishLocked gives the directory its number; from here on the snapshot is there. A container's is on disk before we say so: after a
// power cut its record must lead to what the container wrote. One that is transient means nothing then.
func (s *store) publishLocked(dir string, r *record) error {
	durable := r.Labels[LabelTransient] == ""
	if err := writeRecord(dir, r, durable); err != nil {
		return err
	}
	r.ID = strconv.FormatUint(s.nextID, 10)
	if err := os.Rename(dir, s.path(r.ID)); err != nil {
		return err
	}
	if durable {
		if err := syncDir(s.path()); err != nil {
			return errors.Join(err, os.Rename(s.path(r.ID), dir)) // the caller removes it
		}
	}
	s.nextID++
	s.records[string(r.Key)] = r
	return nil
}

package snapshot

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
)

// record is a snapshot on disk. Its directory is named by ID, which never changes.
type record struct {
	Version int               `json:"version"`
	ID      string            `json:"-"`
	Kind    Kind              `json:"kind"`
	Key     []byte            `json:"key"` // bytes, because JSON would change what is not UTF-8
	Parent  []byte            `json:"parent,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
	Usage   *Usage            `json:"usage,omitempty"`   // of a Committed one
	IDs     *idmap.Map        `json:"ids,omitempty"`     // its mounts show other owners
	Shifted bool              `json:"shifted,omitempty"` // and its files have them: the kernel cannot map their mount
}

func (r *record) info() Info {
	return Info{
		Kind: r.Kind, Name: string(r.Key), Parent: string(r.Parent), Labels: maps.Clone(r.Labels),
		Created: r.Created, Updated: r.Updated,
	}
}

// writeRecord replaces the record of the snapshot in dir.
func writeRecord(dir string, r *record, durable bool) error {
	p, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "snapshot.json.new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(p, '\n'))
	if err == nil && durable {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, "snapshot.json")); err != nil {
		return err
	}
	if durable {
		return syncDir(dir)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

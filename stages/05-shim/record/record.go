// Package record writes how a process ended where a power cut cannot take it and where those who
// were away find it: into the bundle, before anybody is told. docs/boundaries.md fixes names and fields.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Exit is the content of exit.json (the container's init) or exit-EXECID.json.
type Exit struct {
	ID        string    `json:"id"`
	ExecID    string    `json:"exec_id,omitempty"`
	Pid       int       `json:"pid"`
	Status    int       `json:"status"`
	ExitedAt  time.Time `json:"exited_at"`
	OOMKilled bool      `json:"oom_killed"`
}

// Name is the record's file name for an exec id; the empty one is the container's init.
func Name(execID string) string {
	if execID == "" {
		return "exit.json"
	}
	return "exit-" + execID + ".json"
}

// Write puts the record into the bundle. When it returns, the record is there whole and survives
// a crash; before that, an older record is there or none.
func (e Exit) Write(bundle string) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode exit record of %s: %w", e.ID, err)
	}
	if err := writeDurably(bundle, Name(e.ExecID), append(data, '\n')); err != nil {
		return fmt.Errorf("write exit record of %s: %w", e.ID, err)
	}
	return nil
}

// writeDurably replaces dir/name. rename(2) makes the new content appear all at once; fsync(2) of
// the file comes first, or after a crash the new name could lead to an empty file, and fsync of the
// directory comes last, because the name is the directory's data.
func writeDurably(dir, name string, data []byte) error {
	//ex:begin shim.exit-record
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
	//ex:stub
	// return todo.Exercise("shim.exit-record")
	//ex:end shim.exit-record
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Read gives the record of an exec id (empty: the container's init), or fs.ErrNotExist.
func Read(bundle, execID string) (Exit, error) {
	var e Exit
	path := filepath.Join(bundle, Name(execID))
	data, err := os.ReadFile(path)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("read exit record %s: %w", path, err)
	}
	return e, nil
}

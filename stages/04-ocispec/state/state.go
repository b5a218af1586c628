// Package state keeps one directory per container below the runtime's root: state.json, written atomically, and the start gate's socket.
//
// A record says who a container is, never how it is doing: that is the kernel's to say (package lifecycle).
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/resctrl"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/quickjson"
)

// Names inside a container's directory.
const (
	recordName = "state.json"
	configName = "config.json"
	GateName   = "start.sock"
)

// ErrNotExist and ErrExist speak as runc does; callers compare the text.
var (
	ErrNotExist = errors.New("container does not exist")
	ErrExist    = errors.New("container with given ID already exists")
)

// Record is a container's identity.
type Record struct {
	ID          string            `json:"id"`
	Version     string            `json:"ociVersion"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Owner       uint32            `json:"owner"`
	Cgroup      string            `json:"cgroup,omitempty"` // absolute path in every hierarchy
	Unit        string            `json:"unit,omitempty"`   // of systemd, as SLICE:PREFIX:NAME; empty: the group is just a directory
	Annotations map[string]string `json:"annotations,omitempty"`
	Process     *Process          `json:"process,omitempty"` // nil until create has come to its end
	Late        map[int]string    `json:"late,omitempty"`    // names of the steps behind the start gate
	Hooks       *specs.Hooks      `json:"hooks,omitempty"`
	OnHost      int               `json:"on_host,omitempty"`        // without a mount namespace: how many mounts lie on Rootfs with ours, which are the host's
	NoKeyring   bool              `json:"no_new_keyring,omitempty"` // create was told --no-new-keyring; exec does as it did
	Resctrl     *resctrl.Group    `json:"resctrl,omitempty"`        // its class of cache and memory bandwidth
	PIDNS       bool              `json:"pid_ns,omitempty"`         // it has a pid namespace of its own: with its first process all die
}

// Process names a process for ever: a pid alone is used again.
type Process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"` // clock ticks since boot, field 22 of /proc/PID/stat (proc_pid_stat(5))
	Boot      string `json:"boot"`       // /proc/sys/kernel/random/boot_id
}

// Root is the runtime's root directory.
type Root struct{ dir string }

// Open names the root; it is made when the first container is.
func Open(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Root{abs}, nil
}

// CheckID refuses ids that are not a single path component of letters, digits and the signs that runc allows.
func CheckID(id string) error {
	const signs = "_+-."
	foreign := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r))
	}
	if id == "" || len(id) > 255 || id == "." || id == ".." || strings.ContainsFunc(id, foreign) {
		return fmt.Errorf("invalid container ID format: %q", id)
	}
	return nil
}

// Dir is one container's directory, held open.
type Dir struct {
	Path string
	file *os.File
}

// Reserve makes the directory of a new container; ErrExist when the id is taken.
func (r *Root) Reserve(id string) (*Dir, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(r.dir, id)
	if err := os.Mkdir(path, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, ErrExist
	} else if err != nil {
		return nil, err
	}
	return openDir(path)
}

// Find opens the directory of a container; ErrNotExist when there is none.
func (r *Root) Find(id string) (*Dir, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(r.dir, id))
}

func openDir(path string) (*Dir, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, ErrNotExist
	} else if err != nil {
		return nil, err
	}
	return &Dir{path, f}, nil
}

// List names the containers.
func (r *Root) List() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && CheckID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// Lock keeps other operations on the container out until Unlock or Close. The lock belongs to the open directory, which a
// child could inherit: so it is released by name, not by closing (flock(2)).
func (d *Dir) Lock() error { return d.flock(unix.LOCK_EX) }

// Unlock lets the next one in.
func (d *Dir) Unlock() error { return d.flock(unix.LOCK_UN) }

func (d *Dir) flock(how int) error {
	for {
		if err := unix.Flock(int(d.file.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// Close releases the directory.
func (d *Dir) Close() error {
	err := d.Unlock()
	return errors.Join(err, d.file.Close())
}

// Put replaces the record: whoever reads it sees the old one or the new one, whole (rename(2)).
func (d *Dir) Put(r *Record) error {
	data, err := quickjson.Marshal(r)
	if err != nil {
		return err
	}
	temp := filepath.Join(d.Path, ".state.json")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(d.Path, recordName))
}

// Get reads the record. ErrNotExist means that create is under way, or died before it wrote one.
func (d *Dir) Get() (*Record, error) {
	data, err := os.ReadFile(filepath.Join(d.Path, recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotExist
	} else if err != nil {
		return nil, err
	}
	r := new(Record)
	if err := quickjson.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(d.Path, recordName), err)
	}
	return r, nil
}

// PutConfig keeps the configuration that the container was made from: what happens to the bundle's afterwards must not matter
// (runtime-spec runtime.md, "Create").
func (d *Dir) PutConfig(text []byte) error {
	return os.WriteFile(filepath.Join(d.Path, configName), text, 0o600)
}

// Config reads what PutConfig kept.
func (d *Dir) Config() (*specs.Spec, error) {
	data, err := os.ReadFile(filepath.Join(d.Path, configName))
	if err != nil {
		return nil, err
	}
	s := new(specs.Spec)
	if err := quickjson.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(d.Path, configName), err)
	}
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	return s, nil
}

// Remove deletes the directory and all that is there.
func (d *Dir) Remove() error {
	for _, name := range []string{GateName, configName, recordName} { // what the runtime puts there; the record goes last
		_ = unix.Unlink(filepath.Join(d.Path, name)) // what stays is RemoveAll's, and its error
	}
	if unix.Rmdir(d.Path) == nil {
		return nil
	}
	return os.RemoveAll(d.Path)
}

// GatePath is a name of the start gate that fits into a socket address, however long the root's path is (unix(7): 108 bytes).
func (d *Dir) GatePath() string { return fmt.Sprintf("/proc/self/fd/%d/%s", d.file.Fd(), GateName) }

// HasGate tells whether nobody has called start yet.
func (d *Dir) HasGate() bool {
	_, err := os.Lstat(filepath.Join(d.Path, GateName))
	return err == nil
}

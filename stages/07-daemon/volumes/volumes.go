// Package volumes keeps named directories that outlive containers, one record and one directory of data each.
package volumes

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/records"
)

const dataDir = "_data"

// Volume is what a user asked for.
type Volume struct {
	Name      string
	Driver    string
	Labels    map[string]string
	Options   map[string]string
	CreatedAt time.Time
	Anonymous bool
}

// Store holds the local volumes.
type Store struct {
	records *records.Store[Volume]

	mu  sync.Mutex // guards all
	all map[string]Volume
}

// Open reads the volumes below dir. Damaged records are returned; their data stays where it is.
func Open(dir string) (*Store, []records.Corrupt, error) {
	r, err := records.Open[Volume](dir)
	if err != nil {
		return nil, nil, err
	}
	all, bad, err := r.LoadAll()
	return &Store{records: r, all: all}, bad, err
}

// Create makes a volume, or returns the one that has the name already. An empty name makes an anonymous one.
func (s *Store) Create(v Volume) (Volume, error) {
	v.Driver = "local"
	if v.Name == "" {
		v.Name, v.Anonymous = randomName(), true
	}
	if !validName(v.Name) {
		return Volume{}, fault.Invalid("create %s: %q includes invalid characters for a local volume name, only %q are allowed. If you intended to pass a host directory, use absolute path", v.Name, v.Name, "[a-zA-Z0-9][a-zA-Z0-9_.-]")
	}
	if len(v.Options) > 0 {
		return Volume{}, fault.NotImplemented("create %s: options of the local volume driver are not supported yet", v.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.all[v.Name]; ok {
		return have, nil
	}
	v.CreatedAt = time.Now().UTC()
	if err := os.MkdirAll(filepath.Join(s.records.Dir(v.Name), dataDir), 0o755); err != nil {
		return Volume{}, err
	}
	if err := s.records.Save(v.Name, v); err != nil {
		return Volume{}, err
	}
	s.all[v.Name] = v
	return v, nil
}

func randomName() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func validName(name string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$`).MatchString(name)
}

// Get finds a volume.
func (s *Store) Get(name string) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[name]
	if !ok {
		return Volume{}, fault.NotFound("get %s: no such volume", name)
	}
	return v, nil
}

// List returns all volumes by name.
func (s *Store) List() []Volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Volume
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		out = append(out, s.all[name])
	}
	return out
}

// Path is the directory with the volume's data.
func (s *Store) Path(name string) string { return filepath.Join(s.records.Dir(name), dataDir) }

// Remove deletes a volume and its data. Whether containers use it is the caller's question.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[name]; !ok {
		return fault.NotFound("get %s: no such volume", name)
	}
	if err := s.records.Delete(name); err != nil {
		return err
	}
	delete(s.all, name)
	return nil
}

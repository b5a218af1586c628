// Package spec reads config.json and says in one error what is wrong with it. The types are those of runtime-spec; there is
// no second form of the configuration.
package spec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/quickjson"
)

// maxSize bounds what is read: a config.json of this size is a mistake or an attack.
const maxSize = 16 << 20

// Config is a valid configuration.
type Config struct {
	*specs.Spec
	Text     []byte   // as it was read
	Warnings []string // about what is ignored
}

// Load reads and validates BUNDLE/config.json. root.path and the sources of binds are made
// absolute.
func Load(bundle string) (*Config, error) {
	text, err := read(bundle)
	if err != nil {
		return nil, err
	}
	s, err := Decode(text)
	if err != nil {
		return nil, err
	}
	warnings, err := Validate(s)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	Absolute(s, bundle)
	return &Config{s, text, warnings}, nil
}

// Absolute makes root.path and the sources of binds absolute: they are relative to the bundle (config.md, "Root" and "Mounts").
func Absolute(s *specs.Spec, bundle string) {
	if !filepath.IsAbs(s.Root.Path) {
		s.Root.Path = filepath.Join(bundle, s.Root.Path)
	}
	for i, m := range s.Mounts {
		if bind(m) && !filepath.IsAbs(m.Source) {
			s.Mounts[i].Source = filepath.Join(bundle, m.Source)
		}
	}
}

func read(bundle string) ([]byte, error) {
	// O_NONBLOCK: a pipe of that name would hold us until somebody writes to it
	f, err := os.OpenFile(filepath.Join(bundle, "config.json"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("JSON specification file config.json not found in %s", bundle)
	} else if errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s is not a directory: a bundle is the one that config.json lies in", bundle)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	data := bytes.NewBuffer(make([]byte, 0, min(st.Size(), maxSize)+bytes.MinRead)) // the usual file is read at once
	if _, err := data.ReadFrom(io.LimitReader(f, maxSize+1)); err != nil {
		return nil, fmt.Errorf("read config.json: %w", err)
	}
	if data.Len() > maxSize {
		return nil, fmt.Errorf("config.json is larger than %d MiB", maxSize>>20)
	}
	return data.Bytes(), nil
}

// Decode parses the text of a config.json.
func Decode(data []byte) (*specs.Spec, error) {
	s := new(specs.Spec)
	if err := cmp.Or(decode(data, s), noNULs(data, s)); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return s, nil
}

// DecodeProcess parses a process.json, as exec --process takes it.
func DecodeProcess(data []byte) (*specs.Process, error) {
	p := new(specs.Process)
	if err := cmp.Or(decode(data, p), noNULs(data, p)); err != nil {
		return nil, fmt.Errorf("process.json: %w", err)
	}
	return p, nil
}

// decode keeps in the error where in the text the mistake is.
func decode(data []byte, to any) error {
	//ex:begin oci.load
	err := quickjson.Unmarshal(data, to)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: %s: want %s, found %s", position(data, e.Offset), e.Field, e.Type, e.Value)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%s: %w", position(data, e.Offset), e)
	}
	return err
	//ex:stub
	// return todo.Exercise("oci.load")
	//ex:end oci.load
}

// position turns an offset into line and column, from 1.
func position(data []byte, offset int64) string {
	line, column := 1, 1
	for _, c := range data[:min(max(offset-1, 0), int64(len(data)))] {
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return fmt.Sprintf("line %d, column %d", line, column)
}

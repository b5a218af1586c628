// Package stdio carries a container's input and output between the process and whatever the caller
// named in Create or Exec: pipes, files, logging programs, Docker's log files, terminals.
//
// The rule: a container waits for a reader only when somebody asked for a bare named pipe. Logs are
// written here, in the shim, so nothing that may be away, stopped or slow stands between a container
// and its output.
package stdio

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Kind is what a stdio URI asks for.
type Kind string

// The kinds of docs/boundaries.md.
const (
	Null     Kind = ""
	FIFO     Kind = "fifo"
	Plain    Kind = "file"
	Binary   Kind = "binary"
	JSONFile Kind = "json-file"
	None     Kind = "none"
)

// Target is a parsed stdio URI.
type Target struct {
	Kind     Kind
	Path     string   // absolute: the pipe, the file, the program
	Args     []string // Binary: from the query, key and value each
	Tee      string   // JSONFile, None: a named pipe for attached clients
	MaxSize  int64    // JSONFile: bytes, 0: no rotation
	MaxFiles int      // JSONFile
}

// Parse reads a stdio URI. A bare absolute path is a named pipe, an empty string nothing at all.
func Parse(uri string) (Target, error) {
	if uri == "" {
		return Target{}, nil
	}
	if strings.HasPrefix(uri, "/") {
		return Target{Kind: FIFO, Path: uri}, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return Target{}, fmt.Errorf("stdio address %q: %w", uri, err)
	}
	t := Target{Kind: Kind(u.Scheme), Path: u.Path}
	if u.Host != "" || u.Opaque != "" {
		return Target{}, fmt.Errorf("stdio address %q: want %s:///absolute/path", uri, u.Scheme)
	}
	if err := t.options(u); err != nil {
		return Target{}, fmt.Errorf("stdio address %q: %w", uri, err)
	}
	return t, nil
}

func (t *Target) options(u *url.URL) error {
	switch t.Kind {
	case FIFO, Plain:
		return t.needPath()
	case Binary:
		t.Args = programArgs(u.RawQuery)
		return t.needPath()
	case None:
		t.Path, t.Tee = "", u.Query().Get("fifo")
		return t.checkTee()
	case JSONFile:
		if err := t.jsonFile(u.Query()); err != nil {
			return err
		}
		return t.needPath()
	default:
		return fmt.Errorf("unknown scheme %q", u.Scheme)
	}
}

func (t *Target) needPath() error {
	if !filepath.IsAbs(t.Path) || strings.ContainsRune(t.Path, 0) {
		return fmt.Errorf("path %q is not absolute", t.Path)
	}
	return t.checkTee()
}

func (t *Target) checkTee() error {
	if t.Tee != "" && !filepath.IsAbs(t.Tee) {
		return fmt.Errorf("fifo=%q is not absolute", t.Tee)
	}
	return nil
}

func (t *Target) jsonFile(query url.Values) (err error) {
	t.Tee, t.MaxFiles = query.Get("fifo"), 1
	if v := query.Get("max-size"); v != "" {
		if t.MaxSize, err = strconv.ParseInt(v, 10, 64); err != nil || t.MaxSize < 0 {
			return fmt.Errorf("max-size=%q is not a number of bytes", v)
		}
	}
	if v := query.Get("max-file"); v != "" {
		if t.MaxFiles, err = strconv.Atoi(v); err != nil || t.MaxFiles < 1 {
			return fmt.Errorf("max-file=%q is not a number of files", v)
		}
	}
	return nil
}

// programArgs gives a logging program its options as containerd does: each key and its value as
// arguments, in the order of the address.
func programArgs(query string) (args []string) {
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		for i, part := range []string{key, value} {
			text, err := url.QueryUnescape(part)
			if err != nil {
				text = part
			}
			if i == 0 || text != "" {
				args = append(args, text)
			}
		}
	}
	return args
}

// Package logs reads Docker's json-file logs: one JSON object a line, {"log","stream","time"}, rotated as
// NAME, NAME.1, NAME.2 …, the highest being the oldest.
//
// The shim writes them (Writer does it for foreign shims); readers follow the file itself, with
// inotify(7), so a reader depends on nobody's memory.
package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Entry is one line of a log. Line keeps its newline; a piece of a line that was too long has none.
type Entry struct {
	Line   string            `json:"log"`
	Stream string            `json:"stream"`
	Time   time.Time         `json:"time"`
	Attrs  map[string]string `json:"attrs,omitempty"`
}

// Encode appends the entry as one line of a json-file.
func (e Entry) Encode(to []byte) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return to, err
	}
	return append(to, b.Bytes()...), nil
}

func decode(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("log line %.40q: %w", line, err)
	}
	return e, nil
}

// Query says which entries a reader wants.
type Query struct {
	Stdout, Stderr bool
	Tail           int       // the last N lines of what is there; negative: all
	Since, Until   time.Time // zero: no bound
	Follow         bool
}

// wants tells whether an entry passes the filter.
func (q Query) wants(e Entry) bool {
	if e.Stream == "stderr" && !q.Stderr || e.Stream != "stderr" && !q.Stdout {
		return false
	}
	return q.Since.IsZero() || !e.Time.Before(q.Since)
}

// past tells that no later entry can be wanted.
func (q Query) past(e Entry) bool { return !q.Until.IsZero() && e.Time.After(q.Until) }

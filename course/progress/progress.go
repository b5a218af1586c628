// Package progress keeps a learner's way in a text file, learn/progress.toml,
// keyed by slug. It may be read, edited or deleted; what it knows of an exercise
// that no longer exists stays where it is.
package progress

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/slipway-engine/slipway/course/verdict"
)

// Entry is what is known of one exercise.
type Entry struct {
	State  verdict.State `toml:"state,omitempty" json:"state"`
	Code   string        `toml:"code,omitempty" json:"code,omitempty"`     // of the last diagnosis
	Tested time.Time     `toml:"tested,omitempty" json:"tested,omitzero"`  // last
	Done   time.Time     `toml:"done,omitempty" json:"done,omitzero"`      // for the first time
	Hints  int           `toml:"hints,omitzero" json:"hints,omitempty"`    // the highest rung
	Peeked bool          `toml:"peeked,omitempty" json:"peeked,omitempty"` // the solution was looked at
}

// Notes are all entries, by slug.
type Notes map[string]Entry

const head = "# Your way through the course, as `course status` shows it. Edit it as you like.\n"

func file(root string) string { return filepath.Join(root, "learn", "progress.toml") }

// Load reads the notes of a checkout; none yet is no error.
func Load(root string) (Notes, error) {
	notes := Notes{}
	_, err := toml.DecodeFile(file(root), &notes)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("learn/progress.toml: %w", err)
	}
	return notes, nil
}

// Save replaces the file in one step.
func (n Notes) Save(root string) error {
	var b bytes.Buffer
	b.WriteString(head)
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(n); err != nil {
		return err
	}
	path := file(root)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Tested notes a verdict.
func (n Notes) Tested(slug string, v verdict.Verdict, now time.Time) {
	e := n[slug]
	e.State, e.Code, e.Tested = v.State, v.Code, now.UTC().Truncate(time.Second)
	if v.State == verdict.Done && e.Done.IsZero() {
		e.Done = e.Tested
	}
	n[slug] = e
}

// Of is an exercise's state; one that was never tested is not started.
func (n Notes) Of(slug string) verdict.State {
	if s := n[slug].State; s != "" {
		return s
	}
	return verdict.NotStarted
}

// Update loads, changes and saves the notes.
func Update(root string, change func(Notes)) error {
	n, err := Load(root)
	if err != nil {
		return err
	}
	change(n)
	return n.Save(root)
}

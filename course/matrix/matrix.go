// Package matrix proves the course: every exercise, alone and together, undone,
// done and done wrong, gives what a learner is told.
package matrix

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/marks"
)

// State is what a test says of an exercise.
type State string

const (
	NotStarted  State = "NOT STARTED"
	NotYetRight State = "NOT YET RIGHT"
	Done        State = "DONE"
	Broken      State = "BROKEN" // it failed without the words of a diagnosis
)

// Verdict is a state with its evidence.
type Verdict struct {
	State State
	Slug  string // of the exercise that is named
	Code  string
	Text  string
}

var (
	notStarted = regexp.MustCompile(`NOT STARTED\s+(\S+)`)
	notRight   = regexp.MustCompile(`(?s)NOT YET RIGHT\s+(\S+)[^\n]*\[(\S+)\].*`)
)

// Read takes the verdict out of a test's result.
func Read(r gotest.Result) Verdict {
	if m := notStarted.FindStringSubmatch(r.Output); m != nil {
		return Verdict{State: NotStarted, Slug: m[1], Text: m[0]}
	}
	if m := notRight.FindStringSubmatch(r.Output); m != nil {
		return Verdict{State: NotYetRight, Slug: m[1], Code: m[2], Text: m[0]}
	}
	if r.Failed > 0 || r.Passed == 0 {
		return Verdict{State: Broken, Text: r.Output + strings.Join(r.Skips, "\n")}
	}
	return Verdict{State: Done}
}

// Matrix is one proof of one stage.
type Matrix struct {
	Root, Stage string
	Exercises   []exercise.Exercise
	Update      bool // write the golden texts instead of comparing them
	Out         io.Writer

	Checks, Skipped int
	Faults          []string
	tmp             string
}

// Prove runs every row. What cannot be tried on this machine is counted in
// Skipped; a row that does not hold is a fault.
func (m *Matrix) Prove(ctx context.Context) error {
	tmp, err := os.MkdirTemp("", "slipway-course-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	m.tmp = tmp
	everything := func(string) bool { return true }
	if err := m.vet(ctx, everything); err != nil {
		m.fault("skeleton: %v", err)
	}
	for _, e := range m.Exercises {
		if err := m.row(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.Slug, err)
		}
	}
	return nil
}

func (m *Matrix) row(ctx context.Context, e exercise.Exercise) error {
	faults := len(m.Faults)
	for _, cut := range []struct {
		name    string
		stubbed func(string) bool
		want    State
	}{
		{"solution", func(string) bool { return false }, Done},
		{"stub", func(s string) bool { return s == e.Slug }, NotStarted},
		{"skeleton", func(string) bool { return true }, NotStarted},
	} {
		v, err := m.try(ctx, e, cut.stubbed)
		if err != nil {
			return fmt.Errorf("%s: %w", cut.name, err)
		}
		m.expect(e, cut.name, v, cut.want)
	}
	if err := m.neighbours(ctx, e); err != nil {
		return err
	}
	for _, mistake := range e.Mistakes {
		if err := m.mistake(ctx, e, mistake); err != nil {
			return fmt.Errorf("mistake %s: %w", mistake.Name, err)
		}
	}
	mark := "ok  "
	if len(m.Faults) > faults {
		mark = "FAIL"
	}
	fmt.Fprintf(m.Out, "%s %-28s solution, stub, skeleton, %d mistakes\n", mark, e.Slug, len(e.Mistakes))
	return nil
}

func (m *Matrix) fault(format string, args ...any) {
	m.Faults = append(m.Faults, m.Stage+": "+fmt.Sprintf(format, args...))
}

func (m *Matrix) expect(e exercise.Exercise, cut string, v Verdict, want State) {
	m.Checks++
	if v.State == Broken && strings.Contains(v.Text, ": needs ") {
		m.Skipped++
		return
	}
	if v.State != want || (want == NotStarted && cut == "stub" && v.Slug != e.Slug) {
		m.fault("%s, %s: %s %s, want %s\n%s", e.Slug, cut, v.State, v.Slug, want, v.Text)
	}
}

// neighbours stubs e alone: what depends on it is not done, the rest is.
func (m *Matrix) neighbours(ctx context.Context, e exercise.Exercise) error {
	for _, o := range m.Exercises {
		if o.Slug == e.Slug {
			continue
		}
		v, err := m.try(ctx, o, func(s string) bool { return s == e.Slug })
		if err != nil {
			return err
		}
		m.Checks++
		depends := slices.Contains(m.needs(o), e.Slug)
		if depends == (v.State == Done) {
			m.fault("%s stubbed alone: %s is %s, and its needs say depends=%t\n%s", e.Slug, o.Slug, v.State, depends, v.Text)
		}
	}
	return nil
}

// needs are all exercises that must be done before o, directly or not.
func (m *Matrix) needs(o exercise.Exercise) []string {
	all := slices.Clone(o.Needs)
	for _, n := range o.Needs {
		for _, e := range m.Exercises {
			if e.Slug == n {
				all = append(all, m.needs(e)...)
			}
		}
	}
	return all
}

// try runs the test of one exercise against a cut of the stage.
func (m *Matrix) try(ctx context.Context, e exercise.Exercise, stubbed func(string) bool) (Verdict, error) {
	files, err := m.cut(stubbed)
	if err != nil {
		return Verdict{}, err
	}
	return m.run(ctx, e, files)
}

func (m *Matrix) dir() string { return filepath.Join(m.Root, "stages", m.Stage) }

// cut gives the stage's files that hold marks, by path, as cut.
func (m *Matrix) cut(stubbed func(string) bool) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range m.Exercises {
		path := filepath.Join(m.dir(), e.File)
		if _, done := files[path]; done {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if files[path], err = marks.Cut(string(src), stubbed); err != nil {
			return nil, fmt.Errorf("%s: %w", e.File, err)
		}
	}
	return files, nil
}

// run tests with files in place of those on disk (go help build, -overlay).
func (m *Matrix) run(ctx context.Context, e exercise.Exercise, files map[string]string) (Verdict, error) {
	overlay, err := m.overlay(files)
	if err != nil {
		return Verdict{}, err
	}
	r, err := gotest.Run(ctx, m.dir(), nil, io.Discard, "-overlay", overlay, "-run", "^("+e.Test+")$", e.Package)
	return Read(r), err
}

func (m *Matrix) overlay(files map[string]string) (string, error) {
	replace := map[string]string{}
	for path, src := range files {
		to := filepath.Join(m.tmp, strings.ReplaceAll(strings.TrimPrefix(path, m.Root), "/", "_"))
		if err := os.WriteFile(to, []byte(src), 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.tmp, "overlay.json")
	return path, os.WriteFile(path, b, 0o600)
}

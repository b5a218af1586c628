// Package matrix proves the course: every exercise, alone and together, undone,
// done and done wrong, gives what a learner is told.
package matrix

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-engine/slipway/course/chapter"
	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/marks"
	"github.com/slipway-engine/slipway/course/verdict"
	"github.com/slipway-engine/slipway/course/why"
)

// cheap is how long a test may take to be repeated.
const cheap = 3 * time.Second

// Matrix is one proof of one stage.
type Matrix struct {
	Root, Stage string
	Exercises   []exercise.Exercise // all of the stage
	Only        string              // a slug: prove this one alone
	Update      bool                // write the golden texts instead of comparing them
	Jobs        int                 // compilations side by side; tests run one after the other
	Out         io.Writer

	Checks, Skipped, Golden int
	Faults                  []string // printed as they are found
	bench                   *bench
}

// Prove runs every row. What cannot be tried on this machine is counted in
// Skipped; a row that does not hold is a fault.
func (m *Matrix) Prove(ctx context.Context) error {
	tmp, err := os.MkdirTemp("", "slipway-course-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	runner, err := gotest.NewRunner(ctx)
	if err != nil {
		return err
	}
	m.bench = &bench{root: m.Root, dir: m.dir(), tmp: tmp, runner: runner, built: map[string]*built{}}
	m.Checks++
	for _, code := range why.Missing(m.Root, m.Exercises) {
		m.fault("docs/why/%s.md is missing: course why %s has nothing to say", code, code)
	}
	for _, e := range m.Exercises {
		if err := chapter.Has(m.Root, e.Docs); err != nil {
			m.fault("%s: %v", e.Slug, err)
		}
	}
	if m.Only == "" {
		if err := m.vet(ctx, everything, "./..."); err != nil {
			m.fault("skeleton: %v", err)
		}
	}
	rows := m.rows()
	if err := m.compile(ctx, rows); err != nil {
		return err
	}
	for _, r := range rows {
		if err := m.prove(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.e.Slug, err)
		}
	}
	return nil
}

func everything(string) bool { return true }
func nothing(string) bool    { return false }

// trial is one cut or mistake with the test that is run on it.
type trial struct {
	name  string
	e     exercise.Exercise // whose test is run
	files map[string]string // cut or patched sources, by path
	judge func(trial, verdict.Verdict)
}

// row is everything that is proved of one exercise.
type row struct {
	e      exercise.Exercise
	trials []trial
}

func (m *Matrix) rows() []row {
	var rows []row
	for _, e := range m.Exercises {
		if m.Only != "" && e.Slug != m.Only {
			continue
		}
		r := row{e: e}
		alone := func(s string) bool { return s == e.Slug }
		m.add(&r, "solution", e, nothing, m.want(verdict.Done))
		m.add(&r, "stub", e, alone, m.want(verdict.NotStarted))
		m.add(&r, "skeleton", e, everything, m.want(verdict.NotStarted))
		for _, o := range m.Exercises {
			if o.Slug != e.Slug {
				m.add(&r, e.Slug+" stubbed alone", o, alone, m.neighbour(e))
			}
		}
		for _, wrong := range e.Mistakes {
			files, err := m.patched(e.Patch(m.dir(), wrong))
			if err != nil {
				m.fault("%s: %v", e.Patch(m.dir(), wrong), err)
				continue
			}
			r.trials = append(r.trials, trial{"mistake " + wrong.Name, e, files, m.mistake(wrong)})
		}
		rows = append(rows, r)
	}
	return rows
}

func (m *Matrix) add(r *row, name string, e exercise.Exercise, stubbed func(string) bool, judge func(trial, verdict.Verdict)) {
	files, err := m.cut(stubbed)
	if err != nil {
		m.fault("%s, %s: %v", e.Slug, name, err)
		return
	}
	r.trials = append(r.trials, trial{name, e, files, judge})
}

// prove runs the trials of a row, and vets the cut at its exercise.
func (m *Matrix) prove(ctx context.Context, r row) error {
	faults, start := len(m.Faults), time.Now()
	at := slices.IndexFunc(exercise.InOrder(m.Exercises), func(e exercise.Exercise) bool { return e.Slug == r.e.Slug })
	later := exercise.InOrder(m.Exercises)[at:]
	if err := m.vet(ctx, func(s string) bool {
		return slices.ContainsFunc(later, func(e exercise.Exercise) bool { return e.Slug == s })
	}, m.packages()...); err != nil {
		m.fault("the cut at %s: %v", r.e.Slug, err)
	}
	for _, t := range r.trials {
		v, took, err := m.bench.run(ctx, t, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		t.judge(t, v)
		if t.name == "solution" && v.State == verdict.Done && took < cheap { // no flake is shipped
			if v, _, err = m.bench.run(ctx, t, 2); err != nil {
				return fmt.Errorf("%s, repeated: %w", t.name, err)
			}
			t.judge(t, v)
		}
	}
	mark := "ok  "
	if len(m.Faults) > faults {
		mark = "FAIL"
	}
	fmt.Fprintf(m.Out, "%s %-28s solution ×3, stub, skeleton, cut, %d neighbours, %d mistakes  %4.1f s\n",
		mark, r.e.Slug, len(m.Exercises)-1, len(r.e.Mistakes), time.Since(start).Seconds())
	return nil
}

// packages are those that hold exercises.
func (m *Matrix) packages() []string {
	var dirs []string
	for _, e := range m.Exercises {
		if d := "./" + filepath.Dir(e.File); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func (m *Matrix) fault(format string, args ...any) {
	m.Faults = append(m.Faults, m.Stage+": "+fmt.Sprintf(format, args...))
	fmt.Fprintf(m.Out, "FAIL %s\n", strings.TrimRight(m.Faults[len(m.Faults)-1], "\n"))
}

// want expects a state, and from a stub that it names its own exercise.
func (m *Matrix) want(want verdict.State) func(trial, verdict.Verdict) {
	return func(t trial, v verdict.Verdict) {
		m.Checks++
		switch {
		case v.State == verdict.Unverifiable:
			m.Skipped++
		case v.State != want || (want == verdict.NotStarted && t.name == "stub" && v.Slug != t.e.Slug):
			m.fault("%s, %s: %s %s, want %s\n%s", t.e.Slug, t.name, v.State, v.Slug, want, v.Text)
		}
	}
}

// neighbour expects of the others, with e stubbed alone, that what depends on it
// is not done and the rest is.
func (m *Matrix) neighbour(e exercise.Exercise) func(trial, verdict.Verdict) {
	return func(t trial, v verdict.Verdict) {
		m.Checks++
		if v.State == verdict.Unverifiable {
			m.Skipped++
			return
		}
		depends := slices.Contains(m.needs(t.e), e.Slug)
		if depends == (v.State == verdict.Done) {
			m.fault("%s: %s is %s, and its needs say depends=%t\n%s", t.name, t.e.Slug, v.State, depends, v.Text)
		}
	}
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
		if again, err := marks.Cut(string(src), stubbed); err != nil || again != files[path] {
			return nil, fmt.Errorf("%s: cutting it twice gives two texts (%v)", e.File, err)
		}
		if strings.Contains(files[path], "//ex:stub") {
			return nil, fmt.Errorf("%s: a stub's mark is left in the cut", e.File)
		}
	}
	return files, nil
}

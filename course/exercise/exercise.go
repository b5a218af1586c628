// Package exercise reads a stage's exercises.toml and matches it with the marks
// in its source.
package exercise

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/slipway-engine/slipway/course/marks"
)

// Exercise is 5 to 30 lines that a learner writes.
type Exercise struct {
	Slug     string    `toml:"slug"`
	Title    string    `toml:"title"` // what holds once it is done
	File     string    `toml:"file"`  // in the stage's folder
	Minutes  int       `toml:"minutes"`
	Needs    []string  `toml:"needs"`   // slugs that must be done first
	Package  string    `toml:"package"` // "./cgroup"
	Test     string    `toml:"test"`    // pattern of go test -run
	Docs     string    `toml:"docs"`    // chapter and heading
	Hints    []string  `toml:"hints"`   // four rungs
	Mistakes []Mistake `toml:"mistake"`

	Stage string `toml:"-"` // "02-cgroups"
}

// Mistake is a plausible wrong answer: a patch in
// testdata/mistakes/SLUG/NAME.patch that must be diagnosed with its code and
// the text of NAME.golden.
type Mistake struct {
	Name string `toml:"name"`
	Code string `toml:"code"`
}

// Stages lists the stage folders of a checkout, in order.
func Stages(root string) ([]string, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "stages", "0*"))
	for i, d := range dirs {
		dirs[i] = filepath.Base(d)
	}
	return dirs, err
}

// Load reads the exercises of a stage and checks them against the source: each
// has a region in its file, each region an exercise.
func Load(root, stage string) ([]Exercise, error) {
	dir := filepath.Join(root, "stages", stage)
	var doc struct {
		Exercise []Exercise `toml:"exercise"`
	}
	md, err := toml.DecodeFile(filepath.Join(dir, "exercises.toml"), &doc)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s/exercises.toml: %w", stage, err)
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("%s/exercises.toml: unknown key %s", stage, extra[0])
	}
	for i := range doc.Exercise {
		e := &doc.Exercise[i]
		e.Stage = stage
		if err := e.check(dir); err != nil {
			return nil, fmt.Errorf("%s/exercises.toml: %s: %w", stage, e.Slug, err)
		}
	}
	return doc.Exercise, nil
}

func (e Exercise) check(dir string) error {
	src, err := os.ReadFile(filepath.Join(dir, e.File))
	if err != nil {
		return err
	}
	regions, err := marks.Find(string(src))
	if err != nil {
		return fmt.Errorf("%s: %w", e.File, err)
	}
	i := slices.IndexFunc(regions, func(r marks.Region) bool { return r.Slug == e.Slug })
	switch {
	case i < 0:
		return fmt.Errorf("%s has no region of that slug", e.File)
	case len(e.Hints) != 4:
		return fmt.Errorf("%d hints, want a ladder of four", len(e.Hints))
	case len(e.Mistakes) < 2:
		return fmt.Errorf("%d mistakes, want at least two", len(e.Mistakes))
	case e.Test == "" || e.Package == "" || e.Minutes == 0 || e.Title == "" || e.Docs == "":
		return fmt.Errorf("title, test, package, minutes and docs are all needed")
	}
	for _, m := range e.Mistakes {
		if _, err := os.Stat(e.Patch(dir, m)); err != nil {
			return err
		}
	}
	return nil
}

// Patch is the path of a mistake's patch below a stage's folder.
func (e Exercise) Patch(dir string, m Mistake) string {
	return filepath.Join(dir, "testdata", "mistakes", e.Slug, m.Name+".patch")
}

// Course loads the exercises of every stage, in order.
func Course(root string) ([]Exercise, error) {
	stages, err := Stages(root)
	if err != nil {
		return nil, err
	}
	var all []Exercise
	for _, s := range stages {
		list, err := Load(root, s)
		if err != nil {
			return nil, err
		}
		all = append(all, InOrder(list)...)
	}
	return all, nil
}

// InOrder puts each exercise behind those that it needs, and otherwise keeps
// the order of the file.
func InOrder(list []Exercise) []Exercise {
	var sorted []Exercise
	seen := map[string]bool{}
	var visit func(e Exercise)
	visit = func(e Exercise) {
		if seen[e.Slug] {
			return
		}
		seen[e.Slug] = true
		for _, need := range e.Needs {
			if i := index(list, need); i >= 0 {
				visit(list[i])
			}
		}
		sorted = append(sorted, e)
	}
	for _, e := range list {
		visit(e)
	}
	return sorted
}

// Named finds an exercise by its slug; the error names the one that was probably
// meant, or those of the same family, or all.
func Named(all []Exercise, slug string) (Exercise, error) {
	if i := index(all, slug); i >= 0 {
		return all[i], nil
	}
	if near := nearest(all, slug); near != "" {
		return Exercise{}, fmt.Errorf("no exercise %q: did you mean %s?", slug, near)
	}
	var known, family []string
	prefix, _, _ := strings.Cut(slug, ".")
	for _, e := range all {
		known = append(known, e.Slug)
		if strings.HasPrefix(e.Slug, prefix+".") {
			family = append(family, e.Slug)
		}
	}
	if len(family) > 0 {
		known = family
	}
	return Exercise{}, fmt.Errorf("no exercise %q: there are %s", slug, strings.Join(known, ", "))
}

// nearest is the slug that can be had from a misspelt one by the fewest changes,
// if they are few; a name without its family counts as misspelt, too.
func nearest(all []Exercise, slug string) string {
	best, fewest := "", 1+min(3, len(slug)/3)
	for _, e := range all {
		_, name, _ := strings.Cut(e.Slug, ".")
		if n := min(changes(e.Slug, slug), changes(name, slug)); n < fewest {
			best, fewest = e.Slug, n
		}
	}
	return best
}

// changes counts the letters to insert, delete or replace to make b of a
// (Levenshtein's distance).
func changes(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func index(list []Exercise, slug string) int {
	return slices.IndexFunc(list, func(e Exercise) bool { return e.Slug == slug })
}

// Pattern is what go test -run takes.
func (e Exercise) Pattern() string { return "^(" + e.Test + ")$" }

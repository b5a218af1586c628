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

// Named finds an exercise by its slug; the error names those that there are.
func Named(all []Exercise, slug string) (Exercise, error) {
	if i := index(all, slug); i >= 0 {
		return all[i], nil
	}
	var known []string
	for _, e := range all {
		known = append(known, e.Slug)
	}
	return Exercise{}, fmt.Errorf("no exercise %q: there are %s", slug, strings.Join(known, ", "))
}

func index(list []Exercise, slug string) int {
	return slices.IndexFunc(list, func(e Exercise) bool { return e.Slug == slug })
}

// Pattern is what go test -run takes.
func (e Exercise) Pattern() string { return "^(" + e.Test + ")$" }

// Package learner keeps the learner's copies of the stages, below learn/: it
// makes them, changes single regions of them, and chooses for each stage whether
// the copy or the reference is built. It never throws away what somebody wrote.
package learner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/course/marks"
)

// Dir is where the learner's copy of a stage is, and whether it is there.
func Dir(root, stage string) (string, bool) {
	dir := filepath.Join(root, "learn", stage)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return dir, err == nil
}

// Script runs the course's tool, from the checkout's root.
const Script = "learn/course"

const script = `#!/bin/sh
# The course's tool: learn/course status | next | hint | why CODE | …
cd "$(dirname "$0")/.." && CGO_ENABLED=0 go build -trimpath -o .cache/course ./course/cmd/course && exec .cache/course "$@"
`

// Start gives the learner a copy of a stage with every exercise stubbed, and
// says whether it is new: one that is there stays as it is.
func Start(root, stage string) (fresh bool, err error) {
	dir, there := Dir(root, stage)
	if there {
		return false, nil
	}
	if _, err := os.Stat(dir); err == nil {
		return false, fmt.Errorf("learn/%s is there and has no go.mod: move it away first", stage)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(root, Script), []byte(script), 0o755); err != nil {
		return false, err
	}
	// The copy gets its name when it is whole.
	half, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(half)
	if err := skeleton(filepath.Join(root, "stages", stage), half); err != nil {
		return false, err
	}
	if err := os.Chmod(half, 0o755); err != nil {
		return false, err
	}
	if err := os.Rename(half, dir); err != nil {
		return false, err
	}
	return true, Use(root, stage, Mine)
}

// skeleton copies a stage with every exercise stubbed, and without the gallery
// of mistakes, which tells too much.
func skeleton(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir() && rel == filepath.Join("testdata", "mistakes"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			return errors.Join(err, os.Symlink(to, target))
		case !d.Type().IsRegular():
			return nil
		}
		return copyFile(path, target, rel)
	})
}

func copyFile(from, to, rel string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	switch text := string(b); {
	case rel == "go.mod": // the stages beside the original are no neighbours of the copy
		b = []byte(strings.ReplaceAll(text, "=> ../", "=> ../../stages/"))
	case strings.HasSuffix(from, ".go") && strings.Contains(text, "//ex:begin "):
		cut, err := marks.Cut(text, func(string) bool { return true })
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		b = []byte(cut)
	}
	return os.WriteFile(to, b, info.Mode().Perm()|0o200)
}

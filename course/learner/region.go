package learner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/marks"
)

// Place is an exercise in the learner's copy.
type Place struct {
	Path      string // of the file
	Line      int    // of the region's first line, from 1
	Body      string // the learner's lines
	cut       string // the file
	reference string // the same file with its solutions
}

// Find looks an exercise up in the learner's copy of its stage.
func Find(root string, e exercise.Exercise) (Place, error) {
	dir, there := Dir(root, e.Stage)
	if !there {
		return Place{}, fmt.Errorf("you have no copy of %s: make stage-%s start", e.Stage, e.Stage[1:2])
	}
	path := filepath.Join(dir, e.File)
	cut, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return Place{}, fmt.Errorf("learn/%s/%s is gone: %s reset --file %s gives it anew", e.Stage, e.File, Script, e.Slug)
	}
	if err != nil {
		return Place{}, err
	}
	reference, err := os.ReadFile(filepath.Join(root, "stages", e.Stage, e.File))
	if err != nil {
		return Place{}, err
	}
	p := Place{Path: path, cut: string(cut), reference: string(reference)}
	if p.Body, err = marks.Body(p.cut, e.Slug); err != nil {
		return p, fmt.Errorf("learn/%s/%s: %w; put the marks //ex:begin and //ex:end back, or %s reset --file %s gives the file anew", e.Stage, e.File, err, Script, e.Slug)
	}
	before, _, _ := strings.Cut(p.cut, "//ex:begin "+e.Slug)
	p.Line = strings.Count(before, "\n") + 2
	return p, nil
}

// Solution is the reference's text for the region.
func (p Place) Solution(slug string) (string, error) { return marks.Snippet(p.reference, slug) }

// Stub is what the region held at the start.
func (p Place) Stub(slug string) (string, error) { return marks.Stub(p.reference, slug) }

// Reset puts the stub back into one region; the rest of the file stays. The
// file as it was is kept at the path that is returned.
func Reset(root string, e exercise.Exercise) (kept string, err error) {
	return put(root, e, Place.Stub)
}

// ResetFile gives the file of an exercise anew, with all its exercises cut out,
// whatever has become of it. What was there is kept at the path that is
// returned, if there was anything.
func ResetFile(root string, e exercise.Exercise) (kept string, err error) {
	dir, there := Dir(root, e.Stage)
	if !there {
		return "", fmt.Errorf("you have no copy of %s: make stage-%s start", e.Stage, e.Stage[1:2])
	}
	p := Place{Path: filepath.Join(dir, e.File)}
	was, err := os.ReadFile(p.Path)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	if err == nil {
		p.cut = string(was)
		if kept, err = keep(root, p); err != nil {
			return "", err
		}
	}
	return kept, copyFile(filepath.Join(root, "stages", e.Stage, e.File), p.Path, e.File)
}

// Solve puts the reference's solution into one region.
func Solve(root string, e exercise.Exercise) (kept string, err error) {
	return put(root, e, Place.Solution)
}

// put returns "" when the region has that text already.
func put(root string, e exercise.Exercise, text func(Place, string) (string, error)) (string, error) {
	p, err := Find(root, e)
	if err != nil {
		return "", err
	}
	body, err := text(p, e.Slug)
	if err != nil {
		return "", err
	}
	if body == p.Body {
		return "", nil
	}
	out, err := marks.Put(p.cut, e.Slug, body, p.reference)
	if err != nil {
		return "", err
	}
	kept, err := keep(root, p)
	if err != nil {
		return "", err
	}
	return kept, os.WriteFile(p.Path, []byte(out), 0o644)
}

// keep saves a file under the first free number below learn/kept.
func keep(root string, p Place) (string, error) {
	rel, err := filepath.Rel(filepath.Join(root, "learn"), p.Path)
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		to := filepath.Join(root, "learn", "kept", fmt.Sprintf("%s.%d", rel, n))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if _, err := f.WriteString(p.cut); err != nil {
			return "", fmt.Errorf("keep %s: %w", rel, err)
		}
		return to, f.Close()
	}
}

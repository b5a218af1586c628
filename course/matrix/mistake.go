package matrix

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/verdict"
)

// mistake expects the diagnosis of a wrong answer, with its code and golden text.
func (m *Matrix) mistake(wrong exercise.Mistake) func(trial, verdict.Verdict) {
	return func(t trial, v verdict.Verdict) {
		m.Checks++
		switch {
		case v.State == verdict.Unverifiable:
			m.Skipped++
		case v.State != verdict.NotYetRight || v.Code != wrong.Code:
			m.fault("%s, %s: %s [%s], want %s [%s]\n%s", t.e.Slug, t.name, v.State, v.Code, verdict.NotYetRight, wrong.Code, v.Text)
		default:
			path := strings.TrimSuffix(t.e.Patch(m.dir(), wrong), ".patch") + ".golden"
			m.golden(path, normal(v.Text), t.e.Slug+", "+t.name)
		}
	}
}

// patched applies a unified diff, whose paths start at the stage's folder.
func (m *Matrix) patched(patch string) (map[string]string, error) {
	b, err := os.ReadFile(patch)
	if err != nil {
		return nil, err
	}
	diffs, _, err := gitdiff.Parse(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if len(diffs) == 0 {
		return nil, fmt.Errorf("it changes nothing")
	}
	files := map[string]string{}
	for _, d := range diffs {
		path := filepath.Join(m.dir(), strings.TrimPrefix(d.NewName, "b/"))
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if files[path], err = apply(string(src), d.TextFragments); err != nil {
			return nil, fmt.Errorf("it no longer fits %s: %w", d.NewName, err)
		}
	}
	return files, nil
}

// apply replaces each fragment's old lines by its new ones, wherever they have
// moved to, so that a change elsewhere in the file does not spoil the patch.
func apply(src string, fragments []*gitdiff.TextFragment) (string, error) {
	for _, f := range fragments {
		var before, after strings.Builder
		for _, l := range f.Lines {
			if l.Op != gitdiff.OpAdd {
				before.WriteString(l.Line)
			}
			if l.Op != gitdiff.OpDelete {
				after.WriteString(l.Line)
			}
		}
		if n := strings.Count(src, before.String()); n != 1 {
			return "", fmt.Errorf("the lines of %s stand there %d times", strings.TrimSpace(f.Header()), n)
		}
		src = strings.Replace(src, before.String(), after.String(), 1)
	}
	return src, nil
}

var (
	number = regexp.MustCompile(`[0-9]+`)
	place  = regexp.MustCompile(`/tmp/\S+`)
	took   = regexp.MustCompile(`--- FAIL.*|FAIL\b.*|exit status N.*`)
)

// normal is a diagnosis without what differs from run to run: numbers,
// temporary folders, and where lines break.
func normal(text string) string {
	text = place.ReplaceAllString(text, "/tmp/…")
	text = number.ReplaceAllString(text, "N")
	text = took.ReplaceAllString(text, "")
	return strings.Join(strings.Fields(text), " ") + "\n"
}

func (m *Matrix) golden(path, got, what string) {
	m.Golden++
	if m.Update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			m.fault("%s: %v", what, err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		m.fault("%s: no golden text (course check --update writes it): %v", what, err)
		return
	}
	if string(want) != got {
		m.fault("%s: the text differs\n  got  %s  want %s", what, got, want)
	}
}

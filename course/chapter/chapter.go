// Package chapter keeps the book true: it fills the marked parts of docs/*.md
// from the exercises and the source, draws docs/pictures, and executes console
// blocks.
//
//	<!-- ex:table 02-cgroups -->      the exercises of a stage
//	<!-- ex:codes 02-cgroups -->      its diagnoses, with the titles of their pages
//	<!-- ex:code cg.kill -->          the solution of one exercise
//	<!-- ex:solutions 02-cgroups -->  the solutions of all its exercises
//	<!-- /ex -->                      the end of each
package chapter

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/marks"
	"github.com/slipway-engine/slipway/course/picture"
	"github.com/slipway-engine/slipway/course/why"
)

var open = regexp.MustCompile(`^<!-- ex:(table|codes|code|solutions) (\S+) -->$`)

const end = "<!-- /ex -->"

// Fill writes what is generated into every page that is not up to date.
func Fill(root string) error {
	for path, drawn := range pictures(root) {
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, drawn) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, drawn, 0o644); err != nil {
			return err
		}
	}
	return each(root, func(path, text, filled string) error {
		if text == filled {
			return nil
		}
		return os.WriteFile(path, []byte(filled), 0o644)
	})
}

// Stale lists the pages that Fill would change, from the checkout's root.
func Stale(root string) ([]string, error) {
	var stale []string
	for path, drawn := range pictures(root) {
		have, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		if !bytes.Equal(have, drawn) {
			stale = append(stale, filepath.Join("docs", "pictures", filepath.Base(path)))
		}
	}
	slices.Sort(stale)
	err := each(root, func(path, text, filled string) error {
		if text != filled {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			stale = append(stale, rel)
		}
		return nil
	})
	return stale, err
}

// pictures are the drawn trees, by path.
func pictures(root string) map[string][]byte {
	all := map[string][]byte{}
	for _, p := range picture.Book() {
		all[filepath.Join(root, "docs", "pictures", p.Name+".svg")] = p.Draw()
	}
	return all
}

// Pages are the book's files.
func Pages(root string) ([]string, error) {
	return filepath.Glob(filepath.Join(root, "docs", "*.md"))
}

func each(root string, do func(path, text, filled string) error) error {
	pages, err := Pages(root)
	if err != nil {
		return err
	}
	all, err := exercise.Course(root)
	if err != nil {
		return err
	}
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		filled, err := fill(string(b), func(kind, name string) (string, error) {
			switch kind {
			case "table":
				return table(all, name)
			case "codes":
				return codes(root, all, name)
			case "solutions":
				return solutions(root, all, name)
			}
			return code(root, all, name)
		})
		if err != nil {
			return fmt.Errorf("docs/%s: %w", filepath.Base(path), err)
		}
		if err := do(path, string(b), filled); err != nil {
			return err
		}
	}
	return nil
}

// fill replaces what stands between marks. Marks inside of code fences are text.
func fill(text string, make func(kind, name string) (string, error)) (string, error) {
	var out strings.Builder
	inside, fenced := "", false
	for n, line := range strings.Split(text, "\n") {
		m := open.FindStringSubmatch(line)
		switch {
		case inside == "" && strings.HasPrefix(line, "```"):
			fenced = !fenced
		case m != nil && inside != "":
			return "", fmt.Errorf("line %d: %s begins inside %s", n+1, m[2], inside)
		case m != nil && !fenced:
			made, err := make(m[1], m[2])
			if err != nil {
				return "", fmt.Errorf("line %d: %w", n+1, err)
			}
			inside = m[2]
			fmt.Fprintf(&out, "%s\n%s", line, made)
			continue
		case line == end && inside != "":
			inside = ""
		}
		if inside == "" {
			out.WriteString(line + "\n")
		}
	}
	if inside != "" {
		return "", fmt.Errorf("%s has no %s", inside, end)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// table lists a stage's exercises, "02-cgroups", or those of one family only,
// "07-daemon/daemon.net-".
func table(all []exercise.Exercise, name string) (string, error) {
	var b strings.Builder
	b.WriteString("| exercise | minutes | what holds when it is done | needs |\n|---|---|---|---|\n")
	list, err := named(all, name)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		var needs []string
		for _, n := range e.Needs {
			needs = append(needs, "`"+n+"`")
		}
		fmt.Fprintf(&b, "| `%s` in `%s` | %d | %s | %s |\n", e.Slug, e.File, e.Minutes, e.Title, strings.Join(needs, ", "))
	}
	return b.String(), nil
}

// named are a stage's exercises, or those of one family.
func named(all []exercise.Exercise, name string) ([]exercise.Exercise, error) {
	stage, family, _ := strings.Cut(name, "/")
	var list []exercise.Exercise
	for _, e := range all {
		if e.Stage == stage && strings.HasPrefix(e.Slug, family) {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no exercises %s", name)
	}
	return list, nil
}

// codes lists the diagnoses of a stage's tests: the first line of each page.
func codes(root string, all []exercise.Exercise, name string) (string, error) {
	list, err := named(all, name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| code | what it says | exercise |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, e := range list {
		for _, m := range e.Mistakes {
			if seen[m.Code] {
				continue
			}
			seen[m.Code] = true
			page, err := why.Page(root, m.Code)
			if err != nil {
				return "", err
			}
			title, _, _ := strings.Cut(page, "\n")
			_, title, _ = strings.Cut(title, ": ")
			fmt.Fprintf(&b, "| [%[1]s](why/%[1]s.md) | %[2]s | `%[3]s` |\n", m.Code, title, e.Slug)
		}
	}
	return b.String(), nil
}

// solutions are all of a stage's, each folded.
func solutions(root string, all []exercise.Exercise, name string) (string, error) {
	list, err := named(all, name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range list {
		text, err := code(root, all, e.Slug)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// code is a solution, folded, so that nobody reads it by accident.
func code(root string, all []exercise.Exercise, slug string) (string, error) {
	e, err := exercise.Named(all, slug)
	if err != nil {
		return "", err
	}
	src, err := os.ReadFile(filepath.Join(root, "stages", e.Stage, e.File))
	if err != nil {
		return "", err
	}
	text, err := marks.Snippet(string(src), slug)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("<details><summary>The reference's <code>%s</code>, in %s</summary>\n\n```go\n%s\n```\n\n</details>\n", slug, e.File, dedent(text)), nil
}

// dedent takes the indentation of the first line from all.
func dedent(text string) string {
	lead := text[:len(text)-len(strings.TrimLeft(text, "\t"))]
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, lead)
	}
	return strings.Join(lines, "\n")
}

// Package why finds the long form of a diagnosis: docs/why/CODE.md.
package why

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
)

var code = regexp.MustCompile(`^[A-Z]+(-[A-Z]+)*-[0-9]+$`)

func folder(root string) string { return filepath.Join(root, "docs", "why") }

// Page is the text for a code. Case does not matter; an unknown code is an
// error that names those like it.
func Page(root, name string) (string, error) {
	name = strings.ToUpper(name)
	if !code.MatchString(name) {
		return "", fmt.Errorf("%q is no code of a diagnosis; they look like NS-MNT-1", name)
	}
	b, err := os.ReadFile(filepath.Join(folder(root), name+".md"))
	if os.IsNotExist(err) {
		return "", fmt.Errorf("no page for %s: there are %s", name, strings.Join(like(root, name), ", "))
	}
	return string(b), err
}

// Codes are those that have a page.
func Codes(root string) []string {
	pages, err := filepath.Glob(filepath.Join(folder(root), "*.md"))
	if err != nil {
		return nil // the pattern is ours and good
	}
	var codes []string
	for _, p := range pages {
		if name := strings.TrimSuffix(filepath.Base(p), ".md"); code.MatchString(name) {
			codes = append(codes, name)
		}
	}
	return codes
}

// like are the codes of the same family, or all.
func like(root, name string) []string {
	all := Codes(root)
	family, _, _ := strings.Cut(name, "-")
	if some := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return !strings.HasPrefix(c, family+"-") }); len(some) > 0 {
		return some
	}
	return all
}

// Missing are the codes that the exercises' mistakes name and that have no page.
func Missing(root string, list []exercise.Exercise) []string {
	have := Codes(root)
	var missing []string
	for _, e := range list {
		for _, m := range e.Mistakes {
			if !slices.Contains(have, m.Code) && !slices.Contains(missing, m.Code) {
				missing = append(missing, m.Code)
			}
		}
	}
	return missing
}

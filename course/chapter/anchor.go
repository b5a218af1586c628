package chapter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var unspoken = regexp.MustCompile(`[^a-z0-9 _-]`)

// Has says whether a page has the heading that "docs/02-cgroups.md#kill" names,
// by the name that GitHub gives a heading.
func Has(root, link string) error {
	page, name, _ := strings.Cut(link, "#")
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		title := strings.TrimLeft(line, "#")
		if title == line {
			continue
		}
		title = unspoken.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(title, " ", "-") == name {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading %s", page, name)
}

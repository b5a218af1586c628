package ocispec_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheTableOfAttacks: every test that docs/04-ocispec.md names exists, and every test of this stage that is named by a number
// stands there.
func TestTheTableOfAttacks(t *testing.T) {
	page, err := os.ReadFile("../../docs/04-ocispec.md")
	if err != nil {
		t.Skip("needs the book beside the stages: ", err)
	}
	_, section, found := strings.Cut(string(page), "\n## Attacks\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	have := attacks(t)
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| .* \\| `(.+)` \\|$").FindAllStringSubmatch(section, -1) {
		named[row[1]] = true
		require.Contains(t, have, row[1])
	}
	require.Greater(t, len(named), 15)
	for name := range have {
		if strings.HasPrefix(name, "TestCVE") || strings.HasPrefix(name, "cve-") {
			require.Contains(t, named, name, "a test without a row")
		}
	}
}

// attacks are this stage's tests and scripts.
func attacks(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(name, ".txtar"):
			names[filepath.Base(name)] = true
		case strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, f := range function.FindAllStringSubmatch(string(text), -1) {
				names[f[1]] = true
			}
		}
		return nil
	}))
	return names
}

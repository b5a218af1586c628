package shield

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Print is what the machine looks like: one line for each thing that a test
// could leave behind.
type Print map[string]bool

// Fingerprint looks at mounts, cgroups and network links that carry a name that
// tests give: everything a test makes has "slipway-test" or the name of a
// temporary test folder in it, and what others do at the same time has not.
func Fingerprint() Print {
	p := Print{}
	if b, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		s := bufio.NewScanner(bytes.NewReader(b))
		for s.Scan() {
			if f := strings.Fields(s.Text()); len(f) > 4 && tests(f[4]) {
				p["mount "+f[4]] = true
			}
		}
	}
	p.cgroups("/sys/fs/cgroup")
	links, _ := filepath.Glob("/sys/class/net/*")
	for _, l := range links {
		if tests(filepath.Base(l)) {
			p["link "+filepath.Base(l)] = true
		}
	}
	return p
}

func (p Print) cgroups(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if tests(filepath.Base(path)) {
			p["cgroup "+path] = true
		}
		return nil
	})
}

func tests(name string) bool {
	return strings.Contains(name, "slipway-test") || strings.Contains(name, "slipt") ||
		strings.HasPrefix(name, filepath.Join(os.TempDir(), "Test"))
}

// Left lists what is there now and was not before, sorted.
func (p Print) Left(now Print) []string {
	var left []string
	for k := range now {
		if !p[k] {
			left = append(left, k)
		}
	}
	slices.Sort(left)
	return left
}

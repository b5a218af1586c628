//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// traces are all that an engine can leave on a machine, each as a line.
type traces []string

// lookAround takes the fingerprint. What an engine keeps ready for the next container (namespaces in a pool, said by their
// alias) is no trace of an earlier one.
func lookAround() traces {
	var found traces
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	check(err)
	for l := range strings.Lines(string(mounts)) {
		if where := strings.Fields(l)[4]; strings.HasPrefix(where, theWorld.dir) || strings.Contains(where, "slipway") || strings.Contains(where, "docker") {
			found = append(found, "mount "+where) // others come and go with the host's own
		}
	}
	check(filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() != theWorld.target { // the parent of all its groups stays
			found = append(found, "cgroup "+path)
		}
		return nil // one that goes meanwhile is no trace
	}))
	standing := []string{"/run/slipway/runtime", "/run/slipway/runtime/slipway", "/run/slipway/s"} // made by the first container, for all
	check(filepath.WalkDir("/run/slipway", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && !slices.Contains(standing, path) {
			found = append(found, "file "+path)
		}
		return nil // as above
	}))
	out, err := exec.Command("ip", "-j", "-d", "link").Output()
	check(err)
	var links []struct{ IfName, IfAlias string }
	check(json.Unmarshal(out, &links))
	for _, l := range links {
		if !strings.HasPrefix(l.IfAlias, "pool ") {
			found = append(found, "link "+l.IfName)
		}
	}
	rules, err := exec.Command("nft", "-s", "list", "ruleset").Output() // -s: without counters
	check(err)
	for l := range strings.Lines(string(rules)) {
		if theWorld.target == "slipway" {
			found = append(found, "nft "+strings.TrimSpace(l))
		}
	}
	for _, p := range processes() {
		if p.comm != "docker" && p.comm != "ip" && p.comm != "nft" {
			found = append(found, "process "+p.comm)
		}
	}
	slices.Sort(found)
	return found
}

// whenQuiet waits until what earlier tests have ended is gone: links and shims leave in the background.
func whenQuiet() traces {
	now := lookAround()
	for range 20 {
		time.Sleep(150 * time.Millisecond)
		next := lookAround()
		if compare(now, next) == "" {
			break
		}
		now = next
	}
	return now
}

// nothingLeft checks at the end of the test that the machine is as it was at its beginning. Engines may take 5 s to clean up.
func nothingLeft(t *testing.T) {
	t.Helper()
	before := whenQuiet()
	t.Cleanup(func() {
		err := eventually(5*time.Second, func() error {
			if diff := compare(before, lookAround()); diff != "" {
				return fmt.Errorf("left behind (+) or lost (-):\n%s", diff)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v\nprocesses:\n%sthe daemon's last words:\n%s", err, listing(), theWorld.engine.lastWords())
		}
	})
}

// listing is for a person who looks for what a left process belongs to.
func listing() string {
	var b strings.Builder
	for _, p := range processes() {
		fmt.Fprintf(&b, "%7d %7d %s\n", p.pid, p.parent, p.args)
	}
	return b.String()
}

func compare(before, after traces) string {
	count := map[string]int{}
	for _, l := range before {
		count[l]--
	}
	for _, l := range after {
		count[l]++
	}
	var lines []string
	for l, n := range count {
		switch {
		case n > 0:
			lines = append(lines, fmt.Sprintf("+%d %s", n, l))
		case n < 0:
			lines = append(lines, fmt.Sprintf("%d %s", n, l))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

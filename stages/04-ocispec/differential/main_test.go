package differential

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
)

// TestMain is the probe, when a container runs this binary.
func TestMain(m *testing.M) {
	if n := len(os.Args); n >= 3 && os.Args[n-2] == probeArg {
		var asked request
		if err := json.Unmarshal([]byte(os.Args[n-1]), &asked); err != nil {
			os.Exit(97)
		}
		os.Exit(probe(asked))
	}
	code := m.Run()
	_ = os.Remove(filepath.Join(os.TempDir(), fmt.Sprintf("slipway-probe-%d", os.Getpid())))
	if os.Geteuid() == 0 {
		if err := removeParent(fmt.Sprintf("/slipway-diff-%d", os.Getpid())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func contextOfMain() context.Context { return context.Background() }

// peers are the other runtimes that are installed. crun refuses a machine with controllers on v1 and a v2 tree beside them, so
// there it gets a mount namespace without that tree.
func peers(t *testing.T) []runtime {
	t.Helper()
	var found []runtime
	if path, err := exec.LookPath("runc"); err == nil {
		found = append(found, runtime{name: "runc", argv: []string{path}, root: t.TempDir()})
	}
	if path, err := exec.LookPath("crun"); err == nil {
		argv := []string{path}
		if _, err := os.Stat("/sys/fs/cgroup/unified/cgroup.controllers"); err == nil {
			argv = []string{"unshare", "-m", "--propagation", "slave", "sh", "-c", `umount /sys/fs/cgroup/unified; exec "$0" "$@"`, path}
		}
		found = append(found, runtime{name: "crun", argv: argv, root: t.TempDir()})
	}
	return found
}

// ours is built once: the program as users run it.
func ours(t *testing.T) runtime {
	t.Helper()
	path := os.Getenv("SLIPWAY_RUNTIME")
	if path == "" {
		path = filepath.Join(t.TempDir(), "slipway-runtime")
		cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/slipway-runtime")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("needs go, or SLIPWAY_RUNTIME: %s", out)
		}
	}
	return runtime{name: "slipway-runtime", argv: []string{path}, root: t.TempDir()}
}

func TestDifferences(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	layout, err := cgroup.Detect()
	if err != nil {
		t.Skip("needs cgroups")
	}
	others := peers(t)
	if len(others) == 0 {
		t.Skip("needs runc or crun")
	}
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	mine := ours(t)
	used := map[int]bool{}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			a := mine.observe(t, c)
			for _, peer := range others {
				compare(t, c, a, peer.name, peer.observe(t, c), used)
			}
		})
	}
	if len(others) < 2 || t.Failed() || len(used) == 0 { // without a probe every case is skipped
		return
	}
	here := "v1"
	if layout.Mode() == cgroup.V2 {
		here = "v2"
	}
	for i, k := range known {
		if !used[i] && !k.sometimes && (k.on == "" || k.on == here) {
			t.Errorf("nothing differs any more as known[%d] says: %s, %s, %s: %s", i, k.peer, k.cases, k.fact, k.reason)
		}
	}
}

// compare fails for each difference that known has no reason for.
func compare(t *testing.T, c testCase, ours Facts, peer string, theirs Facts, used map[int]bool) {
	t.Helper()
	var unexplained []string
	for _, d := range differences(ours, theirs) {
		i := slices.IndexFunc(known, func(k difference) bool { return k.explains(c.name, peer, d) })
		if i >= 0 {
			used[i] = true
			continue
		}
		unexplained = append(unexplained, fmt.Sprintf("%s: ours %q, %s %q", d, ours[d], peer, theirs[d]))
	}
	if len(unexplained) > 0 {
		t.Errorf("differs from %s in\n  %s", peer, strings.Join(unexplained, "\n  "))
	}
}

// differences are the names of the facts that two containers do not share.
func differences(a, b Facts) []string {
	if a["refused"] != "" || b["refused"] != "" {
		if a["refused"] == b["refused"] {
			return nil
		}
		return []string{"refused"} // the rest follows from it
	}
	var names []string
	for name, v := range a {
		if w, ok := b[name]; !ok || v != w {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

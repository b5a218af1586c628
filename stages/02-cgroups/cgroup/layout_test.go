package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

// fixture unpacks a machine: its mountinfo, /proc/self/cgroup, and below fs/ the files to find there.
func fixture(t *testing.T, file string) (files map[string]string, root string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	require.NoError(t, err)
	files, root = map[string]string{}, t.TempDir()
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
		if name, ok := strings.CutPrefix(f.Name, "fs/"); ok {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(root, name), f.Data, 0o644))
		}
	}
	return files, root
}

func TestLayouts(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/layouts/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	for _, file := range fixtures {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			files, root := fixture(t, file)
			parsed, err := Parse(strings.NewReader(files["mountinfo"]), strings.NewReader(files["cgroup"]))
			require.NoError(t, err)
			for _, tree := range parsed.trees {
				require.NoError(t, os.MkdirAll(filepath.Join(root, tree.mount), 0o755))
			}
			l, err := parsed.Open(root)
			require.NoError(t, err)
			got := strings.ReplaceAll(describe(l, 42), root, "")
			if diff := cmp.Diff(files["want"], got); diff != "" {
				t.Errorf("layout (-want +got):\n%s", diff)
			}
		})
	}
}

// describe prints a layout and where a process is in it.
func describe(l *Layout, pid int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mode %s\ncontrollers %s\n", l.Mode(), strings.Join(l.Controllers(), " "))
	for _, t := range l.trees {
		fmt.Fprintf(&b, "%s %s\n", t.mount, strings.Join(t.controllers, " "))
	}
	g, err := l.Of(pid)
	if err != nil {
		fmt.Fprintln(&b, err)
		return b.String()
	}
	fmt.Fprintf(&b, "%d is in %s\n", pid, g.Path())
	for _, p := range g.places {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

func TestParseRefuses(t *testing.T) {
	for name, row := range map[string]struct{ mountinfo, cgroup, want string }{
		"nothing mounted": {"1 0 8:1 / / rw - ext4 /dev/sda rw", "0::/", "no cgroup hierarchy is mounted here"},
		"short line":      {"1 0 8:1 / /", "0::/", `mountinfo: malformed line "1 0 8:1 / /"`},
		"odd membership":  {"1 0 8:1 / / rw - ext4 /dev/sda rw", "cpu", `/proc/PID/cgroup: malformed line "cpu"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(row.mountinfo), strings.NewReader(row.cgroup))
			require.EqualError(t, err, row.want)
		})
	}
}

func TestHas(t *testing.T) {
	l := &Layout{mode: V2, trees: []*tree{{version: 2, controllers: []string{"io", "memory"}}}}
	for controller, want := range map[string]bool{
		"memory": true, "io": true, "blkio": true, "devices": true, "freezer": true, "cpuacct": true,
		"cpu": false, "net_cls": false, "pids": false,
	} {
		require.Equal(t, want, l.Has(controller), controller)
	}
}

func TestGroupPaths(t *testing.T) {
	l := &Layout{mode: V2, trees: []*tree{{version: 2, mount: "/sys/fs/cgroup"}}}
	for path, want := range map[string]string{
		"/slipway/web":    "/slipway/web",
		"//slipway/./web": "/slipway/web",
		"/":               "/",
		"/a..b/..c":       "/a..b/..c",
	} {
		g, err := l.Group(path)
		require.NoError(t, err)
		require.Equal(t, want, g.Path())
	}
	for path, want := range map[string]string{
		"slipway":      `cgroup "slipway": the path must be absolute`,
		"":             `cgroup "": the path must be absolute`,
		"/a/../b":      `cgroup "/a/../b": .. is refused`,
		"/a/..":        `cgroup "/a/..": .. is refused`,
		"/a\nb":        `cgroup "/a\nb": a name may not hold NUL or newline`,
		"system:dock:": `cgroup "system:dock:": the path must be absolute`,
	} {
		_, err := l.Group(path)
		require.EqualError(t, err, want)
	}
}

// TestRootIsRefused: what stops, kills or removes everything is never meant.
func TestRootIsRefused(t *testing.T) {
	l := &Layout{mode: V2, trees: []*tree{{version: 2, mount: "/sys/fs/cgroup"}}}
	g, err := l.Group("/")
	require.NoError(t, err)
	for name, err := range map[string]error{
		"create": g.Create(), "kill": g.Kill(t.Context()), "remove": g.Remove(t.Context()), "freeze": g.Freeze(t.Context()),
	} {
		require.EqualError(t, err, name+" cgroup /: refused for the root of /sys/fs/cgroup")
	}
}

// TestHidden: a mount over a hierarchy takes it away, and the Layout says only what can be used.
func TestHidden(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "sys/unified"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "sys/unified/cgroup.controllers"), []byte("memory"), 0o644))
	parsed, err := Parse(strings.NewReader("1 0 0:1 / /sys/pids rw - cgroup c rw,pids\n2 0 0:2 / /sys/unified rw - cgroup2 c rw"),
		strings.NewReader("1:pids:/\n0::/"))
	require.NoError(t, err)
	require.Equal(t, Hybrid, parsed.Mode())
	l, err := parsed.Open(root)
	require.NoError(t, err)
	require.Equal(t, V2, l.Mode())
	require.Equal(t, []string{"memory"}, l.Controllers())
	parsed, err = Parse(strings.NewReader("1 0 0:1 / /etc rw - cgroup c rw,pids"), strings.NewReader("1:pids:/"))
	require.NoError(t, err)
	_, err = parsed.Open("/") // a directory, but of another file system
	require.ErrorIs(t, err, ErrNone)
}

package resctrl_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/resctrl"
)

// tree is a directory in the shape of the file system: only the kernel knows the rest of its manners.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "info"), 0o755))
	return root
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

func TestFindRoot(t *testing.T) {
	root, err := resctrl.FindRoot("22 1 0:20 / /sys rw - sysfs sysfs rw\n30 22 0:28 / /sys/fs/resctrl rw,relatime - resctrl resctrl rw\n")
	require.NoError(t, err)
	require.Equal(t, "/sys/fs/resctrl", root)
	_, err = resctrl.FindRoot("22 1 0:20 / /sys rw - sysfs sysfs rw\n")
	require.ErrorIs(t, err, resctrl.ErrDisabled)
}

func TestAClassOfItsOwn(t *testing.T) {
	root := tree(t)
	g := resctrl.New(root, "web", &specs.LinuxIntelRdt{Schemata: []string{"L3:0=f;1=f0"}, MemBwSchema: "MB:0=20;1=70", L3CacheSchema: "L2:0=3\nL2:1=3"})
	require.NoError(t, g.Join(42))
	require.Equal(t, "L3:0=f;1=f0\nL2:0=3\nL2:1=3\nMB:0=20;1=70\n", read(t, filepath.Join(root, "web/schemata")))
	require.Equal(t, "42", read(t, filepath.Join(root, "web/tasks")))
	for _, f := range []string{"schemata", "tasks"} { // the kernel does not count them
		require.NoError(t, os.Remove(filepath.Join(g.Dir, f)))
	}
	require.NoError(t, g.Remove())
	require.NoDirExists(t, g.Dir)
	require.NoError(t, g.Remove(), "again")
}

func TestAClassIsCutOtherwise(t *testing.T) {
	root := tree(t)
	g := resctrl.New(root, "web", &specs.LinuxIntelRdt{Schemata: []string{"L3:0=f"}})
	require.NoError(t, g.Join(42))
	require.NoError(t, g.Change("L3:0=3", "MB:0=20"))
	require.Equal(t, "L3:0=3\nMB:0=20\n", read(t, filepath.Join(root, "web/schemata")))
	require.NoError(t, g.Add(43))
	require.Equal(t, "43", read(t, filepath.Join(root, "web/tasks")))
	shared := resctrl.New(root, "web", &specs.LinuxIntelRdt{ClosID: "web"})
	require.EqualError(t, shared.Change("L3:0=1"), "linux.intelRdt: class "+root+"/web is not the container's alone (closID)")
}

func TestANamedClassIsSharedAndStays(t *testing.T) {
	root := tree(t)
	named := &specs.LinuxIntelRdt{ClosID: "guaranteed", Schemata: []string{"L3:0=f"}}
	require.NoError(t, resctrl.New(root, "a", named).Join(1))
	require.NoError(t, os.WriteFile(filepath.Join(root, "guaranteed/schemata"), []byte("    L3:0= f\n"), 0o600)) // as the kernel pads it
	g := resctrl.New(root, "b", named)
	require.NoError(t, g.Join(2))
	require.Equal(t, "2", read(t, filepath.Join(root, "guaranteed/tasks")))
	require.NoError(t, g.Remove())
	require.DirExists(t, g.Dir)
	err := resctrl.New(root, "c", &specs.LinuxIntelRdt{ClosID: "guaranteed", Schemata: []string{"L3:0=1"}}).Join(3)
	require.EqualError(t, err, `linux.intelRdt: class `+g.Dir+` is there and does not have "L3:0=1"`)
	err = resctrl.New(root, "d", &specs.LinuxIntelRdt{ClosID: "nobody"}).Join(4)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestMonitoring(t *testing.T) {
	root := tree(t)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "pool/mon_groups"), 0o755))
	g := resctrl.New(root, "web", &specs.LinuxIntelRdt{ClosID: "pool", EnableMonitoring: true})
	require.NoError(t, g.Join(7))
	require.Equal(t, "7", read(t, filepath.Join(root, "pool/mon_groups/web/tasks")))
	require.NoError(t, os.Remove(filepath.Join(g.Monitor, "tasks")))
	require.NoError(t, g.Remove())
	require.NoDirExists(t, g.Monitor)
	require.DirExists(t, g.Dir)
}

func TestAFailureLeavesNothing(t *testing.T) {
	root := tree(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "info/last_cmd_status"), []byte("mask f00 has non-consecutive 1-bits\n"), 0o600))
	g := resctrl.New(root, "web", &specs.LinuxIntelRdt{Schemata: []string{"L3:0=f0f"}})
	require.NoError(t, os.MkdirAll(filepath.Join(g.Dir, "schemata"), 0o755)) // what cannot be written, in a class that is there
	require.Error(t, g.Join(1))
	require.NoError(t, os.RemoveAll(g.Dir))
	require.NoError(t, os.Symlink("nowhere/x", filepath.Join(root, "web")))
	require.Error(t, g.Join(1))
}

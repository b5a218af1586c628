package differential

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// bundle is one container's: a root file system with nothing in it but the probe, and the configuration.
type bundle struct {
	dir     string
	in, out string
	spec    *specs.Spec
}

// the same for every test process; the number makes cgroups differ.
var bundles atomic.Int32

func newBundle(t *testing.T, c testCase) *bundle {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755)) // a user namespace's root is an ordinary user on the way there
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	b := &bundle{dir: dir, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	require.NoError(t, os.WriteFile(b.in, nil, 0o600))
	rootfs := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "proc", "sys", "dev", "etc", "tmp", "data/sub"} {
		require.NoError(t, os.MkdirAll(filepath.Join(rootfs, d), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "etc/group"), []byte("root:x:0:\nwheel:x:10:app\napp:x:1000:\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(rootfs, "data/file"), []byte("text\n"), 0o640))
	require.NoError(t, os.Symlink("data", filepath.Join(rootfs, "link")))
	require.NoError(t, os.Link(program(t), filepath.Join(rootfs, "bin/probe")))
	b.spec = c.configuration(t, dir)
	text, err := json.Marshal(b.spec)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644))
	return b
}

// program is this test binary, beside the bundles so that it can be linked into each. It must be static: there is no C library inside.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(os.TempDir(), fmt.Sprintf("slipway-probe-%d", os.Getpid()))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	text, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	image, err := elf.Open("/proc/self/exe")
	require.NoError(t, err)
	defer image.Close()
	for _, p := range image.Progs {
		if p.Type == elf.PT_INTERP {
			t.Skip("needs CGO_ENABLED=0, for a static probe")
		}
	}
	require.NoError(t, os.WriteFile(path, text, 0o755))
	return path
}

// configuration is the case's config.json.
func (c testCase) configuration(t *testing.T, dir string) *specs.Spec {
	t.Helper()
	s := spec.Example()
	if c.engine {
		s = engineSpec(t)
	} else {
		s.Root.Readonly = false
	}
	s.Version = "1.0.2" // the newest that all of them know
	s.Process.Terminal = false
	s.Process.Args = []string{"/bin/probe"}
	s.Linux.CgroupsPath = fmt.Sprintf("/slipway-diff-%d/%d", os.Getpid(), bundles.Add(1))
	if c.change != nil {
		c.change(s, dir)
	}
	first := c.request()
	if c.exec != nil {
		first = `{"Wait":true}`
	}
	s.Process.Args = append(s.Process.Args, probeArg, first)
	return s
}

// engineSpec is what Docker gives a runtime, without what belongs to its own container: hooks and files of the engine.
func engineSpec(t *testing.T) *specs.Spec {
	t.Helper()
	text, err := os.ReadFile("../plan/testdata/docker.json")
	require.NoError(t, err)
	s := &specs.Spec{}
	require.NoError(t, json.Unmarshal(text, s))
	s.Root.Path, s.Hooks = "rootfs", nil
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "bind" })
	return s
}

// request is the probe's last argument.
func (c testCase) request() string {
	text, err := json.Marshal(c.ask)
	if err != nil {
		panic(err) // a struct of strings
	}
	return string(text)
}

func (b *bundle) output(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(b.out)
	require.NoError(t, err)
	return text
}

// numberOfDevtmpfs: its size follows the machine's free memory.
var numberOfDevtmpfs = regexp.MustCompile(`nr_inodes=\d+,rw,size=\d+k`)

// anonymous takes names out of the facts that differ from run to run.
func (b *bundle) anonymous(f Facts, id string) {
	names := strings.NewReplacer(b.dir, "BUNDLE", b.spec.Linux.CgroupsPath, "/CGROUP", id, "ID")
	for k, v := range f {
		f[k] = numberOfDevtmpfs.ReplaceAllString(names.Replace(v), "")
	}
	for k, v := range f {
		kind, isNS := strings.CutPrefix(strings.TrimPrefix(k, "exec "), "ns ")
		if !isNS {
			continue
		}
		host, _ := os.Readlink("/proc/self/ns/" + kind)
		f[k] = "its own"
		if v == host {
			f[k] = "the host's"
		}
	}
}

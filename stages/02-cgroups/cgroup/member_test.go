package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	g := newGroup(t)
	h, _ := inside(t, g, "sleep")
	of, err := g.layout.Of(h.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, g.Path(), of.Path())
	require.Equal(t, g.places, of.places)
	_, err = g.layout.Of(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestBornInside: File is for v2 alone, Birth for every machine.
func TestBornInside(t *testing.T) {
	g := newGroup(t)
	file, err := g.File()
	require.NoError(t, err)
	require.Equal(t, g.layout.Mode() == V2, file != nil)
	closeAll([]*os.File{file})
	dir, files, err := g.Birth()
	teach.Begun(t, err)
	require.NoError(t, err)
	defer closeAll(append(files, dir))
	require.Equal(t, g.layout.Mode() != V1, dir != nil)
	dirs := g.Dirs()
	require.Len(t, dirs, len(files)+map[bool]int{true: 1}[dir != nil])
	for i, f := range files {
		require.Equal(t, dirs[i].Path+"/tasks", f.Name())
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), helperVariable+"=born "+itoa(len(files)))
	c.Stdin, c.ExtraFiles = strings.NewReader("go\n"), files
	if dir != nil {
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	out, err := c.Output()
	require.NoError(t, err)
	own, _, _ := strings.Cut(string(out), "--\n")
	for line := range strings.Lines(own) {
		require.Equal(t, g.Path(), strings.SplitN(strings.TrimSpace(line), ":", 3)[2], line)
	}
}

func TestStats(t *testing.T) {
	g := newGroup(t)
	needs(t, g.layout, "memory", "pids", "cpuacct")
	_, said := inside(t, g, "eat 20")
	require.Equal(t, "done", said)
	s, err := g.Stats()
	require.NoError(t, err)
	require.Greater(t, s.Memory.Anon, uint64(20<<20))
	require.Less(t, s.Memory.Anon, uint64(40<<20))
	require.GreaterOrEqual(t, s.Memory.Usage, s.Memory.Anon)
	require.Equal(t, uint64(Unlimited), s.Memory.Limit)
	require.NotEmpty(t, s.Memory.Raw)
	require.NotZero(t, s.CPU.Usage)
	require.NotZero(t, s.Pids.Current)
	require.Equal(t, uint64(Unlimited), s.Pids.Limit)
	gone, err := g.layout.Group("/no/such/group")
	require.NoError(t, err)
	_, err = gone.Stats()
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestInternalProcesses (v2): an ancestor that holds a process cannot pass memory on; the limit says so.
func TestInternalProcesses(t *testing.T) {
	parent := nameGroup(t)
	if parent.layout.Mode() != V2 {
		t.Skip("needs cgroup v2: no internal processes")
	}
	_, err := parent.places[0].mkdirAll()
	require.NoError(t, err)
	inside(t, parent, "sleep")
	g, err := parent.layout.Group(parent.path + "/below")
	require.NoError(t, err)
	require.NoError(t, g.Create())
	err = g.Set(memoryLimit(32 << 20))
	require.ErrorContains(t, err, `memory.max needs the cgroup controller memory: "memory" is not in `+
		parent.places[0].String()+"/cgroup.subtree_control, which holds processes itself and so may not pass it on")
}

// TestCreateTogether: many make groups below a parent that none of them has yet.
func TestCreateTogether(t *testing.T) {
	g := nameGroup(t)
	const n = 12
	errs := make(chan error, n)
	for i := range n {
		child, err := g.layout.Group(fmt.Sprintf("%s/new/%d", g.path, i))
		require.NoError(t, err)
		go func() { errs <- child.Create() }()
	}
	for range n {
		err := <-errs
		teach.Begun(t, err)
		require.NoError(t, err)
	}
	parent, err := g.layout.Group(g.path + "/new")
	require.NoError(t, err)
	children, err := parent.Children()
	require.NoError(t, err)
	require.Len(t, children, n)
	for _, c := range children {
		require.Empty(t, absent(c))
		h := start(t, "sleep")
		require.NoError(t, c.Join(h.Process.Pid))
	}
}

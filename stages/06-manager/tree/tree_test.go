package tree

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// engine is a recorded moment.
func engine() Facts {
	host := map[string]uint64{"pid": 1, "mnt": 1, "net": 1, "uts": 1}
	own := map[string]uint64{"pid": 7, "mnt": 7, "net": 7, "uts": 1}
	return Facts{Processes: []Process{
		{Pid: 1, Name: "init", Namespaces: host},
		{Pid: 10, Parent: 1, Name: "slipway-daemon", Args: []string{"slipway-daemon"}, Namespaces: host},
		{Pid: 11, Parent: 10, Name: "slipway-manager", Namespaces: host},
		{Pid: 20, Parent: 11, Name: "slipway-shim", Args: []string{"slipway-shim", "-namespace", "slipway", "-id", "web"}, Namespaces: host},
		{Pid: 21, Parent: 20, Name: "sh", Args: []string{"sh", "-c", "sleep 9"}, Inside: []int{1}, Namespaces: own, Group: "/slipway/web", Memory: Memory{3 << 20, 64 << 20}},
		{Pid: 22, Parent: 21, Name: "sleep", Args: []string{"sleep", "9"}, Inside: []int{7}, Namespaces: own, Group: "/slipway/web"},
		{Pid: 30, Parent: 11, Name: "slipway-shim", Args: []string{"slipway-shim", "-id", "db"}, Namespaces: host},
		{Pid: 31, Parent: 30, Name: "redis", State: "Z"},
		{Pid: 40, Parent: 1, Name: "bash", Namespaces: host},
	}}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Print(&b, Build(engine(), Engine)))
	require.Equal(t, `slipway-daemon 10
└─ slipway-manager 11
   ├─ slipway-shim 20  of web
   │  └─ sh 21 (inside 1)  own pid mnt net  /slipway/web 3MiB of 64MiB  sh -c sleep 9
   │     └─ sleep 22 (inside 7)  sleep 9
   └─ slipway-shim 30  of db
      └─ redis 31  defunct
`, b.String())
}

// TestBuildEndures: procfs is not read at one instant, so parents may be missing
// or name each other.
func TestBuildEndures(t *testing.T) {
	all := func(Process) bool { return true }
	f := Facts{Processes: []Process{{Pid: 1, Parent: 2}, {Pid: 2, Parent: 1}, {Pid: 3, Parent: 99}, {Pid: 4, Parent: 4}}}
	roots := Build(f, all)
	var pids []int
	for _, r := range roots {
		pids = append(pids, r.Pid)
	}
	require.Contains(t, pids, 3)
}

// TestRead looks at a real child.
func TestRead(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUTS}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	f, err := Read("/proc")
	require.NoError(t, err)
	roots := Build(f, func(p Process) bool { return p.Pid == os.Getpid() })
	require.Len(t, roots, 1)
	for _, c := range roots[0].Children {
		if c.Pid == cmd.Process.Pid {
			require.Equal(t, os.Getpid(), c.Parent)
			if os.Geteuid() == 0 {
				require.Equal(t, []string{"uts"}, c.Apart)
			}
			return
		}
	}
	t.Fatalf("child %d is not below us", cmd.Process.Pid)
}

func TestMemoryGroup(t *testing.T) {
	v1, v2 := memoryGroup("9:memory:/slipway/web\n3:cpu,cpuacct:/\n0::/u\n")
	require.Equal(t, "/slipway/web", v1)
	require.Equal(t, "/u", v2)
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Name:\tsh\nState:\tS (sleeping)\nPPid:\t1\nNSpid:\t9\t1\n")
	f.Fuzz(func(t *testing.T, text string) { parseStatus(text) })
}

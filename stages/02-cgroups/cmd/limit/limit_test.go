package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	var keep shield.Keep
	if systemd() { // it must know the processes by their numbers
		keep = shield.KeepPIDs
	}
	testscript.Main(shield.Around(m, keep), map[string]func(){"limit": main})
}

// systemd tells whether it is process 1.
func systemd() bool {
	comm, err := os.ReadFile("/proc/1/comm")
	return err == nil && string(comm) == "systemd\n"
}

// TestScripts runs the program on this machine's kernel. In a script $G is the name of a group of its own.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: control groups")
	}
	l, err := cgroup.Detect()
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			name := fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
			env.Setenv("G", name)
			env.Defer(func() { sweep(l, name) })
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "v2":
				return l.Mode() == cgroup.V2, nil
			case "cpuset":
				return l.Has("cpuset"), nil
			case "systemd":
				return systemd(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gives": gives, "fails": fails, "waitfor": waitFor,
		},
	})
}

// gives N PROGRAM...: its exit status is N.
func gives(ts *testscript.TestScript, _ bool, args []string) {
	if got := exitStatus(ts, args[1:]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func fails(ts *testscript.TestScript, _ bool, args []string) {
	if exitStatus(ts, args) == 0 {
		ts.Fatalf("exit status 0")
	}
}

func exitStatus(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// waitFor NAME COMMAND: until a process of the group has that name.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	g, err := find(args[0])
	ts.Check(err)
	for range 2000 {
		pids, _ := g.AllPids() // it may not be there yet
		for _, pid := range pids {
			if p, err := readProcess(pid); err == nil && strings.HasPrefix(p.command, args[1]) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("nobody called %q in %s", args[1], g.Path())
}

// sweep removes what a script left, and the parent if no other test uses it: by rmdir(2) alone, because a group that another test has
// just made is empty, too, and would be taken away before its program has joined it.
func sweep(l *cgroup.Layout, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	own, err := l.Group(parent + "/" + name)
	if err == nil {
		err = own.Kill(ctx)
	}
	if err != nil {
		panic(err)
	}
	own.Remove(ctx) // best effort, as the next: the shield tells what stays
	above, err := l.Group(parent)
	if err != nil {
		panic(err)
	}
	for _, d := range above.Dirs() {
		os.Remove(d.Path)
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "512b": 512, "64k": 64 << 10, "64m": 64 << 20, "64M": 64 << 20, "64MB": 64 << 20, "64MiB": 64 << 20,
		"1.5g": 3 << 29, "2t": 2 << 40, "-1": -1,
	} {
		got, err := parseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, *got, text)
	}
	for text, want := range map[string]string{
		"64q": `"64q": unknown unit "q": want b, k, m, g or t`,
		"m":   `"m" is no size: want a number such as 64m`,
		"0":   `"0" is no size: want a number such as 64m`,
		"-2":  `"-2" is no size: want a number such as 64m`,
		"1kk": `"1kk": unknown unit "kk": want b, k, m, g or t`,
	} {
		_, err := parseBytes(text)
		require.EqualError(t, err, want, text)
	}
	none, err := parseBytes("")
	require.NoError(t, err)
	require.Nil(t, none)
}

func FuzzParseBytes(f *testing.F) {
	f.Add("64m")
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseBytes(text)
		if err == nil && n != nil && *n < -1 {
			t.Errorf("%q is %d bytes", text, *n)
		}
	})
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 64 << 20: "64 MiB", 3 << 29: "1.5 GiB", 1 << 63: "8 EiB", cgroup.Unlimited: "unlimited",
	} {
		require.Equal(t, want, formatBytes(n))
	}
}

func TestResources(t *testing.T) {
	b := budget{memory: "64m", swap: "-1", cpus: 0.5, shares: 512, pids: 32, cpusetCPUs: "0", ioWeight: 100, unified: []string{"a.b=c=d"}}
	got, err := b.resources()
	require.NoError(t, err)
	require.Equal(t, &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(-1))},
		CPU:     &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(100000)), Cpus: "0"},
		Pids:    &specs.LinuxPids{Limit: new(int64(32))},
		BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(100))},
		Unified: map[string]string{"a.b": "c=d"},
	}, got)
	got, err = new(budget{}).resources()
	require.NoError(t, err)
	require.Equal(t, &specs.LinuxResources{}, got)
}

// TestParseStat: a name may hold blanks and brackets.
func TestParseStat(t *testing.T) {
	line := "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 12345 10000 25 18446744073709551615"
	got, err := parseStat(line, 4096)
	require.NoError(t, err)
	require.Equal(t, process{state: "S", threads: 3, cpu: 2 * time.Second, rss: 25 * 4096, command: "[a) b (c]"}, got)
	for _, line := range []string{"", "42 (a", "42 a) S 1", "42 (a) S 1 2"} {
		_, err := parseStat(line, 4096)
		require.Error(t, err, line)
	}
}

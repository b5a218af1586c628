package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
)

func TestMain(m *testing.M) {
	var keep shield.Keep
	if systemd() { // it must know the processes by their numbers
		keep = shield.KeepPIDs
	}
	testscript.Main(noParent{shield.Around(m, keep)}, map[string]func(){"slipway-runtime": main, "runc": main, "seccomp-agent": agent})
}

// noParent takes away the group that containers without a cgroupsPath have above them, where it was made for these tests: it is
// made for all containers of a machine, and stays.
type noParent struct{ tests testscript.TestingM }

func (n noParent) Run() int {
	before := parents()
	code := n.tests.Run()
	for _, dir := range parents() {
		if slices.Contains(before, dir) {
			continue
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) { // EBUSY: somebody else's by now
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// parents are where that group is: on v2 there is one tree.
func parents() []string {
	list, _ := filepath.Glob("/sys/fs/cgroup/*/slipway") // the pattern is a good one
	if _, err := os.Stat("/sys/fs/cgroup/slipway"); err == nil {
		list = append(list, "/sys/fs/cgroup/slipway")
	}
	return list
}

// TestScripts runs testdata/*.txtar: the command line as its callers use it. $WORK/b is a bundle with a static shell.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ROOT", filepath.Join(e.WorkDir, "root"))
			e.Setenv("ID", fmt.Sprintf("cli-%s-%d", filepath.Base(e.WorkDir), time.Now().UnixNano())) // cgroups are the machine's: another test may run this script, too
			return bundle(filepath.Join(e.WorkDir, "b"))
		},
		Condition: func(cond string) (bool, error) {
			_, err := os.Stat("/bin/busybox")
			holds := map[string]func() bool{"root": always, "static": static, "apparmor": appArmor, "systemd": systemd, "v2": unified, "resctrl": resctrlMounted}[cond]
			return os.Geteuid() == 0 && err == nil && holds != nil && holds(), nil
		},
	})
}

func always() bool { return true }

// systemd tells whether it is process 1.
func systemd() bool {
	comm, err := os.ReadFile("/proc/1/comm")
	return err == nil && string(comm) == "systemd\n"
}

// unified tells whether the cgroup tree is v2 alone.
func unified() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// resctrlMounted tells whether there are shares of cache to be given.
func resctrlMounted() bool {
	_, err := os.Stat("/sys/fs/resctrl/schemata")
	return err == nil
}

// static tells whether this test program can be executed where there is no dynamic loader (CGO_ENABLED=0).
func static() bool {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Section(".interp") == nil
}

// appArmor tells whether the kernel holds anybody to a profile.
func appArmor() bool {
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && enabled[0] == 'Y'
}

func bundle(dir string) error {
	text, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil // the scripts say what they need
	}
	for _, d := range []string{"bin", "proc", "dev", "sys"} {
		if err := os.MkdirAll(filepath.Join(dir, "rootfs", d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rootfs/bin/sh"), text, 0o755); err != nil {
		return err
	}
	if err := runSpec(dir, false); err != nil {
		return err
	}
	name := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	edited := strings.NewReplacer(`"terminal": true`, `"terminal": false`, "\t\t\t\"sh\"\n", "\t\t\t\"sh\", \"-c\", \"exit 7\"\n").Replace(string(config))
	return os.WriteFile(name, []byte(edited), 0o644)
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case fakeRuntimeName:
		os.Exit(fakeRuntime(os.Args[1:]))
	case fakeInitName:
		os.Exit(fakeInit(os.Args[1:]))
	}
	os.Exit(testMain(m))
}

// testMain builds the program under test once. The test process becomes a subreaper, as a manager
// is, so that it sees and ends every shim it has started.
func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "slipway-shim-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if err := buildShim(filepath.Join(dir, "slipway-shim")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, fakeRuntimeName))
	}
	if err != nil {
		panic(err)
	}
	os.Setenv("TEST_PROGRAMS", dir)
	return m.Run()
}

// buildShim builds the program, or takes $SLIPWAY_SHIM where there is no Go (the test VM).
func buildShim(path string) error {
	if ready := os.Getenv("SLIPWAY_SHIM"); ready != "" {
		return os.Symlink(ready, path)
	}
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build slipway-shim: %w\n%s", err, out)
	}
	return nil
}

func program(name string) string { return filepath.Join(os.Getenv("TEST_PROGRAMS"), name) }

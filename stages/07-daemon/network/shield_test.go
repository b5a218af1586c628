package network

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain re-executes the test binary in a network and a mount namespace of its own: no rule, link or sysctl of a test
// ever reaches the host.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files instead of comparing")
	if os.Geteuid() != 0 || os.Getenv("SLIPWAY_SHIELD") != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "SLIPWAY_SHIELD=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "shield:", err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// shielded skips a test that needs the kernel where there is no shield.
func shielded(t *testing.T) {
	t.Helper()
	if os.Getenv("SLIPWAY_SHIELD") == "" {
		t.Skip("needs root, for a network namespace of its own")
	}
	require.NoError(t, run("ip", "link", "set", "lo", "up"))
}

// run runs a command; its error holds the output.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

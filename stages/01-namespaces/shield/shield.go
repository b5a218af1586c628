// Package shield keeps what a test does to the machine away from the machine.
//
// A test binary whose TestMain calls Main runs again inside mount namespaces of
// its own, in which / is shared, as systemd makes it: a mistake shows there, as
// it would on a real host, and never reaches the real one. Before and after,
// mounts, cgroups, links and processes are fingerprinted; what is left behind
// is a failure of its own.
package shield

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inside = "SLIPWAY_SHIELDED"

// Main runs the tests behind the shield and exits. Without root it runs them as
// they are: an ordinary user cannot harm the machine's mounts.
func Main(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(prepared(m))
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	before := Fingerprint()
	code := again()
	if left := before.Left(Fingerprint()); len(left) > 0 {
		for _, l := range left {
			fmt.Fprintf(os.Stderr, "HOST-LEAK  the tests left behind: %s\n", l)
		}
		code = max(code, 1)
	}
	os.Exit(code)
}

// again runs this program once more, in a mount namespace of its own.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig follows the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintf(os.Stderr, "shield: start the tests again: %v\n", err)
		return 2
	}
	return cmd.ProcessState.ExitCode()
}

// prepared makes the private namespace look like a host, then runs the tests.
// os/exec has made / private already (SysProcAttr.Unshareflags).
func prepared(m *testing.M) int {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		fmt.Fprintf(os.Stderr, "shield: share / again: %v\n", err)
		return 2
	}
	return m.Run()
}

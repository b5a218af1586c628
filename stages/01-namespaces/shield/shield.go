// Package shield keeps what a test does to the machine away from the machine.
//
// A test binary whose TestMain calls Main runs again in mount, pid, network, uts and ipc namespaces of its own, below a small
// process 1: a pretend host. / is shared in it, as systemd makes it, so a mistake shows there as it would on a real host, and
// never reaches the real one; kill(-1, …) meets only the tests. Before and after, mounts, processes, links, firewall rules and
// the host's name are compared inside, and outside what no namespace holds: cgroups. What is left is a failure that explains
// itself, and is taken away.
//
// Reading order: shield.go (outside), init.go (process 1), print.go (what is compared), explain.go (what a person reads).
package shield

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Keep says what tests keep of the host.
type Keep uint

const (
	// KeepPIDs leaves the tests in the host's pid namespace: for those that name processes to a daemon outside (systemd).
	KeepPIDs Keep = 1 << iota
	// KeepNetwork leaves them in the host's network namespace.
	KeepNetwork
)

// role is the variable that says who a copy of this program is.
const role = "SLIPWAY_SHIELDED"

const (
	roleTests  = "tests"
	roleInit   = "init"   // with the Keep flags and the starter's pid behind it: "init 0 4711"
	roleCanary = "canary" // see canary.go
)

// Main runs the tests behind the shield and exits. Without root it runs them as they are: an ordinary user cannot harm the
// machine's mounts, cgroups and network, and has no right to the namespaces that would hold kill(-1).
func Main(m *testing.M, keep ...Keep) { os.Exit(Around(m, keep...).Run()) }

// Runner is a *testing.M, or what stands for one.
type Runner interface{ Run() int }

// Around is Main for a TestMain that has a Main of its own to call, such as testscript's.
func Around(m Runner, keep ...Keep) Runner {
	s := shielded{Runner: m}
	for _, k := range keep {
		s.keep |= k
	}
	return s
}

type shielded struct {
	Runner
	keep Keep
}

// Run is what each copy of this program does.
func (s shielded) Run() int {
	me, arg, _ := strings.Cut(os.Getenv(role), " ")
	switch {
	case me == roleCanary:
		return sing()
	case me == roleInit:
		return beInit(arg)
	case me == roleTests, os.Geteuid() != 0:
		return s.Runner.Run()
	}
	return around(s.keep)
}

// around compares the machine before and after the tests.
func around(keep Keep) int {
	before := outside(0, keep) // of everybody
	code, tests, err := again(keep)
	if err != nil {
		fmt.Fprintf(os.Stderr, "shield: start the tests again: %v\n", err)
		return 2
	}
	left := settled(before, tests, keep)
	if len(left) > 0 {
		fmt.Fprintln(os.Stderr, explain(left))
		code = max(code, 1)
	}
	return code
}

// settled is what is left outside. Other tests of this machine, in another shield, make groups with such names too: theirs go,
// and ours, if it is one that the kernel still takes away, goes as well.
func settled(before Print, tests int, keep Keep) []string {
	var left []string
	for range 20 {
		if left = before.Left(outside(tests, keep)); len(left) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return left
}

// again runs this program once more as process 1 of the pretend host, in a session of its own, so that a signal to the process
// group stays there too. It returns when the last process of the tests is gone, with the number that the tests had for themselves.
func again(keep Keep) (code, tests int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", role, roleInit, keep, os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{w} // initPipe
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags(keep), Setsid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig follows the thread
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	_ = w.Close()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return 0, 0, err
	}
	_, _ = fmt.Fscan(r, &tests) // 0: process 1 did not come that far
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		fmt.Fprintf(os.Stderr, "shield: process 1 of the tests was killed by %s\n", unix.SignalName(ws.Signal()))
		return 2, tests, nil
	}
	return ws.ExitStatus(), tests, nil
}

func flags(keep Keep) uintptr {
	f := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC)
	if keep&KeepPIDs == 0 {
		f |= unix.CLONE_NEWPID
	}
	if keep&KeepNetwork == 0 {
		f |= unix.CLONE_NEWNET
	}
	return f
}

package shield

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// beInit is process 1 of the pretend host: it furnishes it, starts the tests, reaps whatever becomes its child, and looks at
// what is left. Everybody who is still there dies with it.
func beInit(arg string) int {
	var keep Keep
	var starter int
	if _, err := fmt.Sscan(arg, &keep, &starter); err != nil {
		fmt.Fprintf(os.Stderr, "shield: %s=%s %s: %v\n", role, roleInit, arg, err)
		return 2
	}
	unix.CloseOnExec(initPipe)
	runtime.LockOSThread()                 // Pdeathsig follows the thread
	signal.Notify(make(chan os.Signal, 1)) // without a handler the Go runtime would end on TERM; its children begin with none
	if err := furnish(keep); err != nil {
		fmt.Fprintln(os.Stderr, "shield:", err)
		return 2
	}
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield:", err)
		return 2
	}
	before := inside(proc, keep)
	bird, err := copyAs(roleCanary, true)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield: start the canary:", err)
		return 2
	}
	if keep&KeepPIDs == 0 {
		nextPID(starter)
	}
	tests, err := copyAs(roleTests, false)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield: start the tests:", err)
		return 2
	}
	tell(tests)
	code, left := reap(tests, bird)
	left = append(left, stillRunning(proc)...)
	left = append(left, before.Left(inside(proc, keep).and(before.removed()))...)
	if len(left) > 0 {
		fmt.Fprintln(os.Stderr, explain(left))
		code = max(code, 1)
	}
	tidy(proc, before)
	return code
}

// initPipe is where the starter hears the tests' number.
const initPipe = 3

// tell is only for the starter's report: without it, that names what other tests have left as well.
func tell(tests int) {
	f := os.NewFile(initPipe, "pipe")
	_, _ = fmt.Fprintln(f, tests)
	_ = f.Close()
}

// furnish makes the new namespaces look like a host.
func furnish(keep Keep) error {
	for _, kind := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} { // away from the host's peer groups, then shared among our own
		if err := unix.Mount("", "/", "", unix.MS_REC|kind, ""); err != nil {
			return fmt.Errorf("change the propagation of /: %w", err)
		}
	}
	if keep&KeepNetwork == 0 {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("bring up lo: %w", err)
		}
	}
	if keep&KeepPIDs != 0 {
		return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // orphans are ours all the same
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc for the tests' pid namespace: %w", err)
	}
	return nil
}

// nextPID makes the number of the next process follow on that of the starter: tests name cgroups after their process id, and
// cgroups have no shield. Where the file cannot be written, two shields at a time could meet.
func nextPID(starter int) {
	_ = os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(starter)), 0)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// copyAs starts this program once more; one with a session of its own is met by no signal to a process group.
func copyAs(who string, session bool) (int, error) {
	if err := os.Setenv(role, who); err != nil {
		return 0, err
	}
	return syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: session, Pdeathsig: syscall.SIGKILL},
	})
}

// reap collects every child until the tests have ended, and tells how they did, and which signals killed whom.
func reap(tests, bird int) (code int, killed []string) {
	var ws syscall.WaitStatus
	defer func() { killed = append(killed, releaseCanary(bird)...) }()
	for {
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "shield: wait for the tests:", err)
			return 2, killed
		case pid == bird && ws.Signaled():
			killed = append(killed, signalled(ws, "a process that nobody had a reason to signal"))
		case pid == tests && ws.Signaled():
			return 2, append(killed, signalled(ws, "the tests themselves"))
		case pid == tests:
			return ws.ExitStatus(), killed
		}
	}
}

func signalled(ws syscall.WaitStatus, whom string) string {
	return "signal " + unix.SignalName(ws.Signal()) + " killed " + whom
}

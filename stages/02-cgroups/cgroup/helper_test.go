package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The kernel tests make groups of their own below /slipway-cgroup-test-PID, and put this very program into them: it
// executes itself as a helper that eats, spins, forks or sleeps.

const helperVariable = "CGROUP_TEST_HELPER"

func TestMain(m *testing.M) {
	if job := os.Getenv(helperVariable); job != "" {
		os.Exit(help(strings.Fields(job)))
	}
	var keep shield.Keep
	if os.Getenv("SLIPWAY_VM") != "" { // systemd must know the processes by their numbers there
		keep = shield.KeepPIDs
	}
	os.Exit(shield.Around(counted{m}, keep).Run())
}

// counted are the tests and, at the end, what they left.
type counted struct{ *testing.M }

func (m counted) Run() int {
	code := m.M.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "these tests left cgroups behind: %v\n", left)
		code = max(code, 1)
	}
	return code
}

// leftovers lists groups of this run that are still there.
func leftovers() (left []string) {
	l, err := Detect()
	if err != nil {
		return nil
	}
	g, err := l.Group(testRoot())
	if err != nil {
		return nil
	}
	for _, p := range g.places {
		if p.exists() {
			left = append(left, p.String())
		}
	}
	return left
}

// testRoot has the pid namespace in its name, too: cgroups are the machine's, and in another namespace somebody may have our number.
func testRoot() string {
	space, _ := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	return fmt.Sprintf("/slipway-cgroup-test-%d-%s", os.Getpid(), strings.Trim(space, "pid:[]"))
}

// help is a helper's life: it waits for a line (so that it can be moved into its group first), works, says
// "done", and stays until its stdin ends.
func help(job []string) int {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return 0 // the test is over
	}
	n := 0
	if len(job) > 1 {
		n, _ = strconv.Atoi(job[1])
	}
	err := work(job[0], n)
	if err != nil {
		fmt.Println("error:", err)
	} else {
		fmt.Println("done")
	}
	io.Copy(io.Discard, in)
	return 0
}

func work(job string, n int) error {
	switch job {
	case "eat": // n MiB, really touched
		for range n {
			b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
			if err != nil {
				return err
			}
			b[0] = 1
		}
	case "spin": // for n milliseconds
		for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
		}
	case "fork": // n children that sleep
		for i := range n {
			c := exec.Command("/bin/sleep", "60")
			if err := c.Start(); err != nil {
				return fmt.Errorf("child %d: %w", i+1, errors.Unwrap(err))
			}
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "delegated":
		return beDelegated()
	case "born":
		return beBorn(n)
	case "null", "zero":
		f, err := os.OpenFile("/dev/"+job, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		f.Close()
	case "bomb": // forks while it is being killed, each child once more
		c := exec.Command("/bin/sh", "-c", `i=0; while [ $i -lt 400 ]; do i=$((i+1)); (sleep 0.01; sleep 60) & done; wait`)
		if err := c.Start(); err != nil {
			return err
		}
		go c.Wait()
	}
	return nil
}

// beBorn joins by n files with one thread, and prints where it is and where another thread is.
func beBorn(n int) error {
	runtime.LockOSThread()
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), fmt.Sprintf("file %d of %d", fd-2, n))
		if _, err := f.WriteString("0"); err != nil {
			return err
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	other := ""
	for _, e := range threads {
		if e.Name() != strconv.Itoa(unix.Gettid()) {
			other = e.Name()
		}
	}
	for i, file := range []string{"/proc/thread-self/cgroup", "/proc/self/task/" + other + "/cgroup"} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Print(strings.Repeat("--\n", i), string(data))
	}
	return nil
}

// helper is a running copy of this program.
type helper struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	end chan error // Wait's result

	wait func() error
}

// Wait may be called by the test and by what clears up after it.
func (h *helper) Wait() error { return h.wait() }

// start runs a helper, not yet in any group and not yet working.
func start(t *testing.T, job string) *helper {
	t.Helper()
	return startWith(t, job, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
}

func startWith(t *testing.T, job string, attr *syscall.SysProcAttr) *helper {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), helperVariable+"="+job, "GOMAXPROCS=2")
	c.SysProcAttr = attr
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	h := &helper{Cmd: c, in: in, out: bufio.NewReader(out), end: make(chan error, 1), wait: sync.OnceValue(c.Wait)}
	t.Cleanup(func() {
		c.Process.Kill()
		go h.Wait() // not here: it may be frozen until the group is swept
	})
	return h
}

// begin lets the helper work, and returns what it says.
func (h *helper) begin(t *testing.T) string {
	t.Helper()
	_, err := io.WriteString(h.in, "go\n")
	require.NoError(t, err)
	line, err := h.out.ReadString('\n')
	if err == io.EOF {
		return "died"
	}
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// inside starts a helper in g and lets it work.
func inside(t *testing.T, g *Group, job string) (*helper, string) {
	t.Helper()
	h := start(t, job)
	require.NoError(t, g.Join(h.Process.Pid))
	return h, h.begin(t)
}

//go:build interop

package interop

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"
	"github.com/stretchr/testify/require"
)

// terminal is a docker command under a pseudo-terminal, with a person at the other end.
type terminal struct {
	t      *testing.T
	master console.Console
	cmd    *exec.Cmd
	seen   chan string
	text   string
}

func newTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, slavePath, err := console.NewPty()
	require.NoError(t, err)
	require.NoError(t, master.Resize(console.WinSize{Height: 24, Width: 80}))
	slave, err := os.OpenFile(slavePath, os.O_RDWR, 0)
	require.NoError(t, err)
	defer slave.Close()
	cmd := theWorld.engine.docker(context.Background(), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = master.Close() })
	x := &terminal{t: t, master: master, cmd: cmd, seen: make(chan string, 1024)}
	go func() {
		defer close(x.seen)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil { // EIO: the last descriptor of the other end is closed
				return
			}
			x.seen <- string(buf[:n])
		}
	}()
	return x
}

func (x *terminal) say(text string) {
	x.t.Helper()
	_, err := x.master.Write([]byte(text))
	require.NoError(x.t, err)
}

// expect waits until the pattern is seen, and forgets what was before its end.
func (x *terminal) expect(pattern string) string {
	x.t.Helper()
	end := time.After(20 * time.Second)
	for {
		if found := matchEnd(pattern, x.text); found >= 0 {
			got := x.text[:found]
			x.text = x.text[found:]
			return got
		}
		select {
		case more, ok := <-x.seen:
			if !ok {
				x.t.Fatalf("the terminal is closed; waiting for %q, seen %q", pattern, x.text)
			}
			x.text += more
		case <-end:
			x.t.Fatalf("waiting for %q, seen %q", pattern, x.text)
		}
	}
}

func (x *terminal) wait() int {
	x.t.Helper()
	done := make(chan error, 1)
	go func() { done <- x.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		x.t.Fatalf("the docker command goes on; seen %q", x.text)
	}
	return x.cmd.ProcessState.ExitCode()
}

func TestTerminal(t *testing.T) {
	x := newTerminal(t, "run", "-it", "--name", name(t, ""), theWorld.images.busybox)
	x.expect(`# `)
	x.say("tty; stty size\n")
	x.expect(`/dev/(pts/0|console)`)
	x.expect(`24 80`)
	require.NoError(t, x.master.Resize(console.WinSize{Height: 33, Width: 111}))
	require.NoError(t, x.cmd.Process.Signal(syscall.SIGWINCH))   // what the kernel sends to the foreground group
	require.NoError(t, eventually(10*time.Second, func() error { // it arrives when it arrives
		x.say("stty size\n")
		if got := x.expect(`\n\d+ \d+`); matchEnd(`33 111`, got) < 0 {
			return os.ErrDeadlineExceeded
		}
		return nil
	}))
	x.say("sleep 100\n")
	time.Sleep(300 * time.Millisecond)
	x.say("\x03") // ^C goes to sleep, not to the shell
	x.expect(`# `)
	x.say("echo $((6*7))\n")
	x.expect(`\n42`)
	x.say("exit 5\n")
	require.Equal(t, 5, x.wait())
}

// TestDetachAndAttach: ^P^Q leaves the container running, attach comes back to the same shell.
func TestDetachAndAttach(t *testing.T) {
	n := name(t, "")
	x := newTerminal(t, "run", "-it", "--name", n, theWorld.images.busybox)
	x.expect(`# `)
	x.say("x=here\n")
	x.expect(`# `)
	x.say("\x10\x11")
	require.Zero(t, x.wait())
	require.Equal(t, "true", must(t, "inspect", "-f", "{{.State.Running}}", n))
	y := newTerminal(t, "attach", n)
	time.Sleep(300 * time.Millisecond)
	y.say("echo still $x\n")
	y.expect(`\nstill here`)
	y.say("exit 0\n")
	require.Zero(t, y.wait())
}

// TestInitOwnsTheTerminal: under --init ^C still goes to the program in front.
func TestInitOwnsTheTerminal(t *testing.T) {
	x := newTerminal(t, "run", "-it", "--rm", "--init", "--name", name(t, ""), theWorld.images.busybox, "sleep", "100")
	time.Sleep(1500 * time.Millisecond)
	x.say("\x03")
	require.Equal(t, 130, x.wait())
}

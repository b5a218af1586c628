package shell_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a shell on a terminal of its own, and what it has printed so far.
type terminal struct {
	t       *testing.T
	control *os.File
	seen    chan string
	text    string
}

func openTerminal(t *testing.T) (control, other *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs /dev/ptmx")
	}
	fd := int(control.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}))
	other, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return control, other
}

func startTerminal(t *testing.T, env ...string) (*terminal, func() int) {
	control, other := openTerminal(t)
	cmd := sh(t, bin(t))
	cmd.Env = append(cmd.Env, append(env, "PS1=<ready> ", "PS2=<more> ")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = other, other, other
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, other.Close())
	term := &terminal{t: t, control: control, seen: make(chan string, 100)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := control.Read(buf)
			if err != nil {
				close(term.seen)
				return
			}
			term.seen <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { require.NoError(t, control.Close()) })
	return term, func() int {
		_ = cmd.Wait() // the code is what counts
		return cmd.ProcessState.ExitCode()
	}
}

// expect waits for a text and forgets everything up to it.
func (c *terminal) expect(want string) {
	c.t.Helper()
	limit := time.After(10 * time.Second)
	for !strings.Contains(c.text, want) {
		select {
		case more, ok := <-c.seen:
			if !ok {
				require.Fail(c.t, "the shell ended", "want %q after %q", want, c.text)
			}
			c.text += more
		case <-limit:
			require.Fail(c.t, "nothing more came", "want %q after %q", want, c.text)
		}
	}
	_, c.text, _ = strings.Cut(c.text, want)
}

func (c *terminal) typed(text string) {
	c.t.Helper()
	_, err := c.control.WriteString(text)
	require.NoError(c.t, err)
}

func TestInteractive(t *testing.T) {
	c, wait := startTerminal(t)
	c.expect("<ready> ")
	c.typed("echo $((6 * 7))\r")
	c.expect("\r\n42\r\n<ready> ")
	c.typed("stty size\r")
	c.expect("30 100\r\n<ready> ")

	c.typed("if true\r")
	c.expect("<more> ")
	c.typed("then echo two; fi\r")
	c.expect("\r\ntwo\r\n<ready> ")

	c.typed("\x1b[A\x1b[A\x1b[A\r") // three lines up: the second command again
	c.expect("30 100\r\n<ready> ")

	c.typed("half a line\x03")
	c.expect("^C\r\n<ready> ")
	c.typed("echo $?\r")
	c.expect("\r\n130\r\n<ready> ")

	c.typed("sleep 100\r")
	time.Sleep(200 * time.Millisecond) // the sleep must have the terminal before ctrl-c is typed
	c.typed("\x03")
	c.expect("<ready> ")
	c.typed("echo still here\r")
	c.expect("\r\nstill here\r\n<ready> ")

	c.typed("if ) fi\r")
	c.expect("syntax error")
	c.expect("<ready> ")

	c.typed("read x\r")
	time.Sleep(100 * time.Millisecond)
	c.typed("some words\r")
	c.expect("<ready> ")
	c.typed("echo [$x]\r")
	c.expect("\r\n[some words]\r\n<ready> ")

	c.typed("exit 5\r")
	require.Equal(t, 5, wait())
}

func TestInteractiveEndOfInput(t *testing.T) {
	c, wait := startTerminal(t)
	c.expect("<ready> ")
	c.typed("(exit 3)\r")
	c.expect("<ready> ")
	c.typed("\x04")
	require.Equal(t, 3, wait())
}

func TestInteractiveOnADumbTerminal(t *testing.T) {
	c, wait := startTerminal(t, "TERM=dumb")
	c.expect("<ready> ")
	c.typed("echo plain\n")
	c.expect("\r\nplain\r\n<ready> ")
	c.typed("exit\n")
	require.Equal(t, 0, wait())
}

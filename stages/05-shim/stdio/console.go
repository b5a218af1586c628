package stdio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// consoleSocket is where the runtime hands over the terminal it made inside the container
// (runc's docs/terminals.md, --console-socket): one message with one descriptor.
type consoleSocket struct {
	dir      string
	listener *net.UnixListener
}

// newConsoleSocket makes the socket in a directory of its own; sun_path holds 107 bytes only.
func newConsoleSocket(parent string) (*consoleSocket, error) {
	dir, err := os.MkdirTemp(parent, "tty")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the console socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		os.Remove(dir)
		return nil, fmt.Errorf("listen for the console: %w", err)
	}
	return &consoleSocket{dir: dir, listener: l}, nil
}

func (c *consoleSocket) path() string { return filepath.Join(c.dir, "s") }

// receive takes the terminal. The runtime has left by then, so it waits in the socket.
func (c *consoleSocket) receive(within time.Duration) (*os.File, error) {
	c.listener.SetDeadline(time.Now().Add(within))
	conn, err := c.listener.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("the runtime sent no console: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(within))
	name, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, oobn, _, _, err := conn.ReadMsgUnix(name, oob)
	if err != nil {
		return nil, fmt.Errorf("receive the console: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("receive the console: no descriptor came"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("receive the console: no descriptor came"), err)
	}
	unix.CloseOnExec(fds[0])
	return polled(fds[0], "console")
}

func (c *consoleSocket) Close() error {
	return errors.Join(c.listener.Close(), os.RemoveAll(c.dir))
}

// resize sets a terminal's size, which sends SIGWINCH to the program in it (tty_ioctl(4)).
func resize(tty *os.File, width, height uint32) error {
	conn, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	ctlErr := conn.Control(func(fd uintptr) { err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	return errors.Join(ctlErr, err)
}

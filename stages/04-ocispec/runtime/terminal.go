package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Foreground is the terminal of a container that runs in the foreground: ours is connected to it.
type Foreground struct {
	ours, theirs *os.File // a pair of sockets; the child sends its master over theirs
	master       *os.File
	saved        *unix.Termios
	used         bool
}

// NewForeground makes the pair that stands in for a console socket.
func NewForeground() (*Foreground, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Foreground{ours: os.NewFile(uintptr(pair[0]), "console"), theirs: os.NewFile(uintptr(pair[1]), "console")}, nil
}

// Socket is the end that the container gets.
func (f *Foreground) Socket() (*os.File, error) {
	f.used = true
	return f.theirs, nil
}

// Used tells whether a container took it.
func (f *Foreground) Used() bool { return f.used }

// Attach receives the master and sets it up, while the program does not run yet.
func (f *Foreground) Attach() (err error) {
	if f.master, err = receiveTerminal(f.ours); err != nil {
		return err
	}
	f.Resize()
	return keepLineEnds(f.master)
}

// Connect makes our terminal raw and copies both ways until the container closes its side.
func (f *Foreground) Connect() (copied <-chan error, err error) {
	if saved, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		f.saved = saved
		if err := unix.IoctlSetTermios(0, unix.TCSETS, raw(*saved)); err != nil {
			return nil, err
		}
	}
	done := make(chan error, 1)
	go func() { _, _ = io.Copy(f.master, os.Stdin) }() // ends with this process: a read of a terminal cannot be ended
	go func() {
		_, err := io.Copy(os.Stdout, f.master)
		if errors.Is(err, unix.EIO) { // the other end is closed (pts(4))
			err = nil
		}
		done <- err
	}()
	return done, nil
}

// keepLineEnds tells a terminal not to write "\r\n" for "\n" (termios(3), ONLCR): our own terminal adds what it needs, and a
// pipe or a file that stands in its place gets what the program wrote.
func keepLineEnds(master *os.File) error {
	t, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("tcgetattr: %w", err)
	}
	t.Oflag &^= unix.ONLCR
	if err := unix.IoctlSetTermios(int(master.Fd()), unix.TCSETS, t); err != nil {
		return fmt.Errorf("tcsetattr: %w", err)
	}
	return nil
}

// Resize gives the container's terminal the size of ours.
func (f *Foreground) Resize() {
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil && f.master != nil {
		_ = unix.IoctlSetWinsize(int(f.master.Fd()), unix.TIOCSWINSZ, size) // it may be gone
	}
}

// Close puts our terminal back.
func (f *Foreground) Close() error {
	var err error
	if f.saved != nil {
		err = unix.IoctlSetTermios(0, unix.TCSETS, f.saved)
	}
	if f.master != nil {
		err = errors.Join(err, f.master.Close())
	}
	return errors.Join(err, f.ours.Close())
}

// raw is what cfmakeraw(3) makes of a terminal's settings, but for the line ends of the output.
func raw(t unix.Termios) *unix.Termios {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag |= unix.OPOST // "\r\n" for the "\n" that keepLineEnds left
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return &t
}

// receiveTerminal takes the one descriptor that comes over a unix socket (unix(7), SCM_RIGHTS).
func receiveTerminal(socket *os.File) (*os.File, error) {
	data, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(socket.Fd()), data, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("receive the terminal: no descriptor came")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("receive the terminal: not one descriptor came")
	}
	return os.NewFile(uintptr(fds[0]), "/dev/ptmx"), nil
}

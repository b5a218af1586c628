package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// announce tells the caller which process it is. If that fails, the container goes again.
func (c *creation) announce() error {
	err := writePIDFile(c.opts.PIDFile, c.proc.PID())
	if err == nil && c.opts.PIDFDSocket != "" {
		err = sendPIDFD(c.opts.PIDFDSocket, c.proc.PIDFD())
	}
	if err == nil {
		return nil
	}
	_ = c.proc.Signal(unix.SIGKILL) // it may be gone already
	_, waitErr := c.proc.Wait()
	if c.group != nil {
		waitErr = errors.Join(waitErr, c.group.Remove(context.Background()))
	}
	return errors.Join(err, waitErr, c.proc.Close(), c.unmount())
}

func sendPIDFD(path string, pidfd *os.File) error {
	socket, err := connect(path)
	if err != nil {
		return fmt.Errorf("pidfd socket: %w", err)
	}
	defer socket.Close()
	return unix.Sendmsg(int(socket.Fd()), []byte("pidfd"), unix.UnixRights(int(pidfd.Fd())), nil, 0)
}

package runtime

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// ConsoleSocket connects to the socket that a shim listens on.
func ConsoleSocket(path string) Terminal {
	return func() (*os.File, error) {
		f, err := connect(path)
		if err != nil {
			return nil, fmt.Errorf("console socket: %w", err)
		}
		return f, nil
	}
}

// connect opens a connection that can be given to a child.
func connect(path string) (*os.File, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	f, err := conn.File()
	if err != nil {
		return nil, err
	}
	return f, unix.SetNonblock(int(f.Fd()), false) // the child cannot wait for a poller
}

// Package launch is how a shim comes to be: a socket, a process of its own, an address printed.
package launch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultSocketDir holds the sockets of all shims. A socket in a directory that only root may enter,
// and never an abstract one, which any process in the same network namespace may connect to
// (CVE-2020-15257). The names are hashes: sun_path holds 107 bytes (unix(7)), a bundle's path may have more.
const DefaultSocketDir = "/run/slipway/s"

// SocketPath is the socket of one shim: the same for the same manager, namespace and group.
func SocketPath(dir, manager, namespace, group string) string {
	sum := sha256.Sum256([]byte(manager + "\x00" + namespace + "\x00" + group))
	return filepath.Join(dir, fmt.Sprintf("%x", sum[:16]))
}

// Lock keeps two starts of the same socket apart.
func Lock(socket string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, fmt.Errorf("make socket directory: %w", err)
	}
	fd, err := unix.Open(filepath.Dir(socket), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket directory: %w", err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("lock socket directory: %w", err)
	}
	return sync.OnceFunc(func() { unix.Close(fd) }), nil
}

// ErrServed means that a living shim has the socket.
var ErrServed = errors.New("a shim is serving there")

// Listen makes the listening socket; a dead shim's is replaced.
func Listen(socket string) (*net.UnixListener, error) {
	if conn, err := net.DialTimeout("unix", socket, time.Second); err == nil {
		conn.Close()
		return nil, ErrServed
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("remove a dead shim's socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("restrict socket: %w", err)
	}
	return l, nil
}

package launch

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Guard is a listener that admits only processes of our own user and counts who is connected.
type Guard struct {
	*net.UnixListener

	mu       sync.Mutex // guards the fields below
	open     int
	lastSeen time.Time
}

// NewGuard guards a listener.
func NewGuard(l *net.UnixListener) *Guard {
	return &Guard{UnixListener: l, lastSeen: time.Now()}
}

// Accept waits for a connection of a process with our user id (SO_PEERCRED, unix(7)).
func (g *Guard) Accept() (net.Conn, error) {
	for {
		conn, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if !sameUser(conn) {
			conn.Close()
			continue
		}
		g.count(1)
		return &counted{Conn: conn, gone: sync.OnceFunc(func() { g.count(-1) })}, nil
	}
}

func sameUser(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	ctlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return ctlErr == nil && err == nil && int(peer.Uid) == os.Geteuid()
}

func (g *Guard) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open += n
	g.lastSeen = time.Now()
}

// Connections is how many clients are connected, and when that last changed.
func (g *Guard) Connections() (open int, lastSeen time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.lastSeen
}

// AwaitHangUps waits until nobody is connected, at most for within.
func (g *Guard) AwaitHangUps(within time.Duration) {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if open, _ := g.Connections(); open == 0 {
			return
		}
	}
}

type counted struct {
	net.Conn
	gone func()
}

func (c *counted) Close() error {
	c.gone()
	return c.Conn.Close()
}

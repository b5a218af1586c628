package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// tcpServer joins each connection to one of its own to the container.
type tcpServer struct {
	listener *net.TCPListener
	spec     Spec
	opts     Options
}

func newTCP(l *net.TCPListener, s Spec, o Options) *tcpServer {
	return &tcpServer{listener: l, spec: s, opts: o}
}

func (s *tcpServer) addr() net.Addr { return s.listener.Addr() }
func (s *tcpServer) close() error   { return s.listener.Close() }

func (s *tcpServer) serve(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	pause := time.Duration(0)
	for {
		client, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			wg.Go(func() { s.join(ctx, client) })
		case errors.Is(err, net.ErrClosed) && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", s.spec.Host, err)
		default: // no more descriptors, or the client left while it waited: neither is a reason to give the port up
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// join carries both directions. Each ends by itself: a client that has said all it has to say still gets its answer.
func (s *tcpServer) join(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	d := net.Dialer{Timeout: s.opts.DialTimeout}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", s.spec.Container.String())
	if err != nil {
		_ = client.SetLinger(0) // reset, as a closed port does; an orderly end would look like an empty answer
		return
	}
	container := c.(*net.TCPConn)
	defer container.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close(); _ = container.Close() })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { carry(container, client) })
	wg.Go(func() { carry(client, container) })
	wg.Wait()
}

// carry copies until the source ends, then says so to the destination alone: half-close. Between two TCP connections io.Copy
// is splice(2): the bytes stay in the kernel.
func carry(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	_ = to.CloseWrite() // ENOTCONN: it has gone meanwhile
	_ = from.CloseRead()
	if err != nil { // one side is broken, and the other direction shall not wait for it: what has come is still carried
		_ = to.CloseRead()
	}
}

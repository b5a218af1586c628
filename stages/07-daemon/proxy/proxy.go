package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options tune a Proxy. The zero value is for real use.
type Options struct {
	UDPIdle     time.Duration // a UDP session without traffic for so long is forgotten; default 90 s
	UDPSessions int           // at most so many per port; default 4096
	DialTimeout time.Duration // for a container that does not answer; default 10 s
}

// Proxy serves some ports.
type Proxy struct {
	opts    Options
	servers []server
}

// server is one listening socket.
type server interface {
	serve(context.Context) error // until close, or until listening itself breaks
	close() error
	addr() net.Addr
}

// Listen takes all ports or none. Its error for a port is in docker-proxy's words, because it becomes the text that the
// user sees: failed to bind host port for 0.0.0.0:8080:172.18.0.2:80/tcp: address already in use.
func Listen(ctx context.Context, specs []Spec, o Options) (*Proxy, error) {
	if o.UDPIdle == 0 {
		o.UDPIdle = 90 * time.Second
	}
	if o.UDPSessions == 0 {
		o.UDPSessions = 4096
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 10 * time.Second
	}
	p := &Proxy{opts: o}
	for _, s := range specs {
		one, err := p.listen(ctx, s)
		if err != nil {
			return nil, errors.Join(bindError(s, err), p.Close())
		}
		p.servers = append(p.servers, one)
	}
	return p, nil
}

func bindError(s Spec, err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return fmt.Errorf("failed to bind host port for %s:%s/%s: %w", s.Host, s.Container, s.Proto, err) // Docker's words
}

func (p *Proxy) listen(ctx context.Context, s Spec) (server, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // an MPTCP socket cannot be spliced
	if s.Proto == "tcp" {
		l, err := lc.Listen(ctx, s.network(), s.Host.String())
		if err != nil {
			return nil, err
		}
		return newTCP(l.(*net.TCPListener), s, p.opts), nil
	}
	c, err := lc.ListenPacket(ctx, s.network(), s.Host.String())
	if err != nil {
		return nil, err
	}
	return newUDP(c.(*net.UDPConn), s, p.opts)
}

// Adopt serves one port on a socket that somebody else opened: what dockerd hands over with -use-listen-fd.
func Adopt(f *os.File, s Spec, o Options) (*Proxy, error) {
	p, err := Listen(context.Background(), nil, o)
	if err != nil {
		return nil, err
	}
	var one server
	if s.Proto == "tcp" {
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("listening socket of %s: %w", s, err)
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("listening socket of %s is a %T: %w", s, l, ErrSpec)
		}
		one = newTCP(tcp, s, p.opts)
	} else {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return nil, fmt.Errorf("socket of %s: %w", s, err)
		}
		udp, ok := c.(*net.UDPConn)
		if !ok {
			return nil, fmt.Errorf("socket of %s is a %T: %w", s, c, ErrSpec)
		}
		if one, err = newUDP(udp, s, p.opts); err != nil {
			return nil, err
		}
	}
	p.servers = append(p.servers, one)
	return p, nil
}

// Addrs are the listening addresses in the order of the specs.
func (p *Proxy) Addrs() []net.Addr {
	var list []net.Addr
	for _, s := range p.servers {
		list = append(list, s.addr())
	}
	return list
}

// Serve carries traffic until ctx ends, and then returns nil; connections under way are cut.
func (p *Proxy) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(p.servers))
	var wg sync.WaitGroup
	for i, s := range p.servers {
		wg.Go(func() {
			errs[i] = s.serve(ctx)
			cancel() // a port that is gone shall be noticed: the supervisor starts us again
		})
	}
	<-ctx.Done()
	err := p.Close()
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

// Close stops listening.
func (p *Proxy) Close() error {
	var errs []error
	for _, s := range p.servers {
		if err := s.close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

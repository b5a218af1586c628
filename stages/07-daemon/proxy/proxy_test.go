package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve starts a proxy on a free port of host in front of the backend and returns where it listens.
func serve(t *testing.T, proto, host string, backend net.Addr, o Options) string {
	t.Helper()
	spec, err := NewSpec(proto, netip.AddrPortFrom(netip.MustParseAddr(host), 0), netip.MustParseAddrPort(backend.String()))
	require.NoError(t, err)
	p, err := Listen(t.Context(), []Spec{spec}, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(5 * time.Second):
			t.Error("Serve goes on after its context has ended")
		}
	})
	return p.Addrs()[0].String()
}

func backendTCP(t *testing.T, handle func(*net.TCPConn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c.(*net.TCPConn))
		}
	}()
	return l.Addr()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c.(*net.TCPConn)
}

// TestHalfClose: the backend answers only when the client has said all it has to say, as `nc -N` and HTTP/1.0 do.
func TestHalfClose(t *testing.T) {
	echo := backendTCP(t, func(c *net.TCPConn) {
		defer c.Close()
		all, _ := io.ReadAll(c)
		_, _ = c.Write(all)
	})
	for _, host := range []string{"127.0.0.1", "::1"} {
		c := dial(t, serve(t, "tcp", host, echo, Options{}))
		sent := make([]byte, 4<<20)
		_, _ = rand.Read(sent)
		go func() { _, _ = c.Write(sent); _ = c.CloseWrite() }()
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sent, got), "%d bytes of %d came back", len(got), len(sent))
	}
}

// TestServerFirst: the backend ends its direction first and still hears the client.
func TestServerFirst(t *testing.T) {
	heard := make(chan string, 1)
	backend := backendTCP(t, func(c *net.TCPConn) {
		defer c.Close()
		_, _ = c.Write([]byte("hello"))
		_ = c.CloseWrite()
		all, _ := io.ReadAll(c)
		heard <- string(all)
	})
	c := dial(t, serve(t, "tcp", "127.0.0.1", backend, Options{}))
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	_, err = c.Write([]byte("late"))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	require.Equal(t, "late", <-heard)
}

// TestRefused: a container port that nobody listens on is a reset, not an empty answer.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr()
	require.NoError(t, l.Close())
	c, err := net.Dial("tcp4", serve(t, "tcp", "127.0.0.1", nobody, Options{}))
	if err == nil { // the reset may also come while dialling
		defer c.Close()
		_, err = io.ReadAll(c)
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// TestResetEndsBoth: a client that resets does not leave the backend waiting for ever.
func TestResetEndsBoth(t *testing.T) {
	ended := make(chan error, 1)
	backend := backendTCP(t, func(c *net.TCPConn) {
		defer c.Close()
		_, err := io.ReadAll(c)
		ended <- err
	})
	c := dial(t, serve(t, "tcp", "127.0.0.1", backend, Options{}))
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.SetLinger(0))
	require.NoError(t, c.Close())
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the backend's connection is still open")
	}
}

func TestBindError(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := netip.MustParseAddrPort(l.Addr().String())
	free := Spec{"tcp", netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("172.18.0.2:80")}
	_, err = Listen(t.Context(), []Spec{free, {"tcp", taken, netip.MustParseAddrPort("172.18.0.2:80")}}, Options{})
	require.EqualError(t, err, "failed to bind host port for "+taken.String()+":172.18.0.2:80/tcp: address already in use")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

// TestFamiliesSideBySide: 0.0.0.0 and :: are two sockets on one port number.
func TestFamiliesSideBySide(t *testing.T) {
	to := netip.MustParseAddrPort("172.18.0.2:80")
	for _, proto := range []string{"tcp", "udp"} {
		first, err := Listen(t.Context(), []Spec{{proto, netip.MustParseAddrPort("0.0.0.0:0"), to}}, Options{})
		require.NoError(t, err)
		port := netip.MustParseAddrPort(first.Addrs()[0].String()).Port()
		second, err := Listen(t.Context(), []Spec{{proto, netip.AddrPortFrom(netip.IPv6Unspecified(), port), to}}, Options{})
		require.NoError(t, err)
		require.NoError(t, first.Close())
		require.NoError(t, second.Close())
	}
}

func backendUDP(t *testing.T) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(append([]byte(from.String()+" "), buf[:n]...), from)
		}
	}()
	return c.LocalAddr()
}

func exchange(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
	buf := make([]byte, maxDatagram)
	n, err := c.Read(buf)
	require.NoError(t, err)
	return string(buf[:n])
}

// TestUDPAnswersFromTheAddressAsked: on a wildcard socket a connected client accepts only answers from where it wrote to,
// so 127.0.0.2 must answer as 127.0.0.2.
func TestUDPAnswersFromTheAddressAsked(t *testing.T) {
	backend := backendUDP(t)
	addr := serve(t, "udp", "0.0.0.0", backend, Options{})
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	var seen []string
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		c, err := net.Dial("udp4", net.JoinHostPort(host, port))
		require.NoError(t, err)
		defer c.Close()
		first, second := exchange(t, c, "a"), exchange(t, c, "a")
		require.Equal(t, first, second, "one client is one session")
		seen = append(seen, first)
	}
	require.NotEqual(t, seen[0], seen[1], "two clients are two sessions")

	addr = serve(t, "udp", "::", backend, Options{})
	_, port, err = net.SplitHostPort(addr)
	require.NoError(t, err)
	c, err := net.Dial("udp6", net.JoinHostPort("::1", port))
	require.NoError(t, err)
	defer c.Close()
	require.Contains(t, exchange(t, c, "six"), " six")
}

func TestUDPIdleAndBound(t *testing.T) {
	spec := Spec{"udp", netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort(backendUDP(t).String())}
	p, err := Listen(t.Context(), []Spec{spec}, Options{UDPIdle: 100 * time.Millisecond, UDPSessions: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	count := func() int {
		u := p.servers[0].(*udpServer)
		u.mu.Lock()
		defer u.mu.Unlock()
		return len(u.sessions)
	}
	one, err := net.Dial("udp4", p.Addrs()[0].String())
	require.NoError(t, err)
	defer one.Close()
	exchange(t, one, "x")
	require.Equal(t, 1, count())

	two, err := net.Dial("udp4", p.Addrs()[0].String())
	require.NoError(t, err)
	defer two.Close()
	_, err = two.Write([]byte("too many"))
	require.NoError(t, err)
	require.NoError(t, two.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = two.Read(make([]byte, 100))
	require.Error(t, err)

	require.Eventually(t, func() bool { return count() == 0 }, 5*time.Second, 10*time.Millisecond)
	exchange(t, two, "now there is room")
	cancel()
	require.NoError(t, <-done)
}

package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpServer keeps, for each client, a socket of its own to the container, so that answers find their way back.
type udpServer struct {
	conn *net.UDPConn
	spec Spec
	opts Options

	mu       sync.Mutex // guards sessions
	sessions map[sessionKey]*net.UDPConn
}

// sessionKey is a client and the address of ours that it wrote to: an answer from another one would not be accepted.
type sessionKey struct {
	client netip.AddrPort
	local  string // the packet's own pktinfo, ready to be sent back
}

func newUDP(c *net.UDPConn, s Spec, o Options) (*udpServer, error) {
	if err := askPktinfo(c, s.Host.Addr()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &udpServer{conn: c, spec: s, opts: o, sessions: map[sessionKey]*net.UDPConn{}}, nil
}

// askPktinfo makes each packet tell which of our addresses it came to (ip(7), IP_PKTINFO; ipv6(7), IPV6_RECVPKTINFO).
func askPktinfo(c *net.UDPConn, host netip.Addr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if host.Is4() {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	return errors.Join(err, set)
}

func (s *udpServer) addr() net.Addr { return s.conn.LocalAddr() }
func (s *udpServer) close() error   { return s.conn.Close() }

// maxDatagram is the largest UDP payload (RFC 768: a 16-bit length).
const maxDatagram = 65535

func (s *udpServer) serve(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.endAll()
	buf, oob := make([]byte, maxDatagram), make([]byte, 128)
	for {
		n, oobn, _, client, err := s.conn.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("receive on %s: %w", s.spec.Host, err)
		}
		if err != nil {
			continue // an ICMP error that an earlier answer of ours brought back
		}
		key := sessionKey{client, string(replyControl(oob[:oobn]))}
		to, err := s.session(ctx, key, &wg)
		if err != nil {
			continue // UDP: a packet that cannot be delivered is dropped
		}
		_ = to.SetReadDeadline(time.Now().Add(s.opts.UDPIdle)) // a client that only sends is not idle
		_, _ = to.Write(buf[:n])                               // as above; ECONNREFUSED while the container's program starts
	}
}

// session finds the client's socket or makes it, and with it the goroutine that carries answers.
func (s *udpServer) session(ctx context.Context, key sessionKey, wg *sync.WaitGroup) (*net.UDPConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.sessions[key]; ok {
		return c, nil
	}
	if len(s.sessions) >= s.opts.UDPSessions {
		return nil, unix.ENOBUFS // forged clients shall not use up our descriptors
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", s.spec.Container.String())
	if err != nil {
		return nil, err
	}
	to := c.(*net.UDPConn)
	s.sessions[key] = to
	wg.Go(func() { s.answers(key, to) })
	return to, nil
}

// answers carries the container's packets back until none has come for the idle time.
func (s *udpServer) answers(key sessionKey, from *net.UDPConn) {
	defer s.end(key, from)
	buf := make([]byte, maxDatagram)
	for {
		if from.SetReadDeadline(time.Now().Add(s.opts.UDPIdle)) != nil {
			return
		}
		n, err := from.Read(buf)
		if errors.Is(err, unix.ECONNREFUSED) {
			continue // nobody listens yet; the deadline ends it
		}
		if err != nil {
			return
		}
		_, _, _ = s.conn.WriteMsgUDPAddrPort(buf[:n], []byte(key.local), key.client)
	}
}

func (s *udpServer) end(key sessionKey, c *net.UDPConn) {
	s.mu.Lock()
	delete(s.sessions, key)
	s.mu.Unlock()
	_ = c.Close()
}

func (s *udpServer) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		_ = c.Close()
	}
}

// replyControl turns the pktinfo that a packet came with into the one to answer with: the same address of ours, any
// interface. struct in_pktinfo is {ifindex, spec_dst, addr}, struct in6_pktinfo {addr[16], ifindex}.
func replyControl(oob []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return control(unix.IPPROTO_IP, unix.IP_PKTINFO, append(make([]byte, 4), m.Data[4:12]...))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 20:
			info := append([]byte(nil), m.Data[:20]...)
			if a := netip.AddrFrom16([16]byte(info[:16])); !a.IsLinkLocalUnicast() { // that one is nothing without its interface
				binary.NativeEndian.PutUint32(info[16:], 0)
			}
			return control(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info)
		}
	}
	return nil
}

// control is one control message as cmsg(3) lays it out.
func control(level, kind int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

package applets

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ping sends ICMP echo requests (RFC 792): -c COUNT, -W SECS for each answer, -i SECS between them.
func ping(p *Proc) int {
	opt, operands, ok := p.getopt("-46c:W:i:q")
	if !ok || len(operands) != 1 {
		return p.failf("usage: ping [-c COUNT] [-W SECS] [-i SECS] HOST")
	}
	addr, err := net.ResolveIPAddr("ip4", operands[0])
	if err != nil {
		return p.failf("bad address '%s'", operands[0])
	}
	count, wait, pause := -1, 5*time.Second, time.Second
	if text, given := opt['c']; given {
		if count, err = strconv.Atoi(text); err != nil {
			return p.failf("invalid number '%s'", text)
		}
	}
	for letter, into := range map[byte]*time.Duration{'W': &wait, 'i': &pause} {
		if text, given := opt[letter]; given {
			if *into, err = duration(text); err != nil {
				return p.failf("invalid number '%s'", text)
			}
		}
	}
	sock, err := newPinger(addr.IP)
	if err != nil {
		return p.failf("%v", err)
	}
	defer sock.close()
	fmt.Fprintf(p.Out, "PING %s (%s): 56 data bytes\n", operands[0], addr)
	sent, got := 0, 0
	for sent != count {
		if sent > 0 {
			time.Sleep(pause)
		}
		sent++
		if took, err := sock.echo(uint16(sent-1), wait); err == nil {
			got++
			fmt.Fprintf(p.Out, "64 bytes from %s: seq=%d time=%.3f ms\n", addr, sent-1, float64(took.Microseconds())/1000)
		} else if err != unix.EAGAIN {
			p.failf("sendto: %s", capital(err))
		}
	}
	fmt.Fprintf(p.Out, "\n--- %s ping statistics ---\n%d packets transmitted, %d packets received, %d%% packet loss\n", operands[0], sent, got, 100*(sent-got)/max(sent, 1))
	if got == 0 {
		return 1
	}
	return 0
}

type pinger struct {
	fd  int
	raw bool
	to  unix.SockaddrInet4
}

// newPinger prefers a raw socket (CAP_NET_RAW) and falls back to a ping socket (net.ipv4.ping_group_range).
func newPinger(ip net.IP) (*pinger, error) {
	s := &pinger{raw: true}
	copy(s.to.Addr[:], ip.To4())
	var err error
	s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		s.raw = false
		s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	}
	if err != nil {
		return nil, fmt.Errorf("icmp socket: %w", err)
	}
	return s, nil
}

func (s *pinger) close() { _ = unix.Close(s.fd) }

func (s *pinger) echo(seq uint16, wait time.Duration) (time.Duration, error) {
	packet := make([]byte, 64)
	packet[0] = 8
	id := uint16(os.Getpid())
	binary.BigEndian.PutUint16(packet[4:], id)
	binary.BigEndian.PutUint16(packet[6:], seq)
	binary.BigEndian.PutUint16(packet[2:], checksum(packet))
	start := time.Now()
	if err := unix.Sendto(s.fd, packet, 0, &s.to); err != nil {
		return 0, err
	}
	buf := make([]byte, 1500)
	for {
		left := wait - time.Since(start)
		if left <= 0 {
			return 0, unix.EAGAIN
		}
		tv := unix.NsecToTimeval(left.Nanoseconds())
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return 0, err
		}
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if s.answers(buf[:n], id, seq) {
			return time.Since(start), nil
		}
	}
}

// answers tells whether a packet is the echo reply to our request; a raw socket sees the IP header and others' replies too.
func (s *pinger) answers(packet []byte, id, seq uint16) bool {
	if s.raw {
		if len(packet) < 20 {
			return false
		}
		packet = packet[min(int(packet[0]&15)*4, len(packet)):]
	}
	return len(packet) >= 8 && packet[0] == 0 && binary.BigEndian.Uint16(packet[6:]) == seq && (!s.raw || binary.BigEndian.Uint16(packet[4:]) == id)
}

// checksum is the internet checksum (RFC 1071).
func checksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

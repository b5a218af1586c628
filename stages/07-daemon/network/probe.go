package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// readHostPorts asks the host which ports may be given out when the user names none (ip(7), ip_local_port_range).
func readHostPorts(proxy bool) (hostPorts, error) {
	h := hostPorts{families: []netip.Addr{netip.IPv4Unspecified()}}
	if _, err := os.Stat("/proc/net/if_inet6"); proxy && err == nil {
		h.families = append(h.families, netip.IPv6Unspecified())
	}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return h, err
	}
	if _, err := fmt.Sscan(string(text), &h.low, &h.high); err != nil {
		return h, fmt.Errorf("ip_local_port_range %q: %w", text, err)
	}
	text, err = os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	if err != nil {
		return h, err
	}
	h.reserved, err = parsePortList(strings.TrimSpace(string(text)))
	return h, err
}

// parsePortList reads the kernel's list form, "1,2-4,10".
func parsePortList(s string) (map[uint16]bool, error) {
	set := map[uint16]bool{}
	for word := range strings.SplitSeq(s, ",") {
		if word == "" {
			continue
		}
		from, to, ranged := strings.Cut(word, "-")
		if !ranged {
			to = from
		}
		low, err1 := strconv.ParseUint(from, 10, 16)
		high, err2 := strconv.ParseUint(to, 10, 16)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("port list %q: %w", s, err)
		}
		for p := low; p <= high; p++ {
			set[uint16(p)] = true
		}
	}
	return set, nil
}

// binder really binds ports and holds them until it is closed, so that between the decision and the proxy nobody else of
// ours slips in. container is the address for the error text, in docker-proxy's words.
type binder struct {
	container netip.Addr
	held      []interface{ Close() error }
}

func (b *binder) try(p Port) error {
	held, err := bindPort(p)
	if err == nil {
		b.held = append(b.held, held)
		return nil
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err
	}
	kind := error(ErrInvalid) // an address that is not this host's, a port that is not ours to take
	if errno == unix.EADDRINUSE {
		kind = ErrPortInUse
	}
	return fmt.Errorf("failed to bind host port for %s: %w%w", // Docker's words
		fmt.Sprintf("%s:%s/%s", p.host(), netip.AddrPortFrom(b.container, p.ContainerPort), p.Proto), errno, silent{kind})
}

func (b *binder) close() {
	for _, h := range b.held {
		_ = h.Close()
	}
}

// bindPort takes the port as slipway-proxy will: an IPv6 address for IPv6 alone.
func bindPort(p Port) (interface{ Close() error }, error) {
	family := "4"
	if p.HostIP.Is6() {
		family = "6"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	if p.Proto == TCP {
		return lc.Listen(context.Background(), "tcp"+family, p.host())
	}
	return lc.ListenPacket(context.Background(), "udp"+family, p.host())
}

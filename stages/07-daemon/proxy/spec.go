// Package proxy carries published ports from the host to a container in user space.
//
// Most traffic never comes here: nftables sends it straight to the container. What is left is what NAT cannot do: the
// host's own 127.0.0.1 and ::1, and IPv6 clients of an IPv4 container. Holding the port also keeps others from taking it.
package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Spec is one published port.
type Spec struct {
	Proto     string         // tcp or udp
	Host      netip.AddrPort // where we listen
	Container netip.AddrPort // where it goes
}

// ErrSpec is found in every error about a malformed spec.
var ErrSpec = errors.New("invalid port specification")

// ParseSpec reads tcp:HOSTIP:HOSTPORT:CONTAINERIP:CONTAINERPORT; IPv6 addresses stand in brackets.
func ParseSpec(s string) (Spec, error) {
	proto, rest, _ := strings.Cut(s, ":")
	host, container, ok := cutAddrPort(rest)
	if !ok {
		return Spec{}, fmt.Errorf("%w: %q", ErrSpec, s)
	}
	from, err := netip.ParseAddrPort(host)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %q: %w", ErrSpec, s, err)
	}
	to, err := netip.ParseAddrPort(container)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %q: %w", ErrSpec, s, err)
	}
	return NewSpec(proto, from, to)
}

// cutAddrPort cuts ADDRESS:PORT off at the colon after the port.
func cutAddrPort(s string) (first, rest string, ok bool) {
	from := 0
	if strings.HasPrefix(s, "[") {
		from = max(strings.IndexByte(s, ']'), 0)
	}
	colon := strings.IndexByte(s[from:], ':')
	if colon < 0 {
		return "", "", false
	}
	port := from + colon + 1
	end := strings.IndexByte(s[port:], ':')
	if end < 0 {
		return "", "", false
	}
	return s[:port+end], s[port+end+1:], true
}

// NewSpec checks the parts.
func NewSpec(proto string, host, container netip.AddrPort) (Spec, error) {
	s := Spec{proto, host, container}
	switch {
	case proto != "tcp" && proto != "udp":
		return s, fmt.Errorf("%w: protocol %q, want tcp or udp", ErrSpec, proto)
	case !host.IsValid() || !container.IsValid():
		return s, fmt.Errorf("%w: %s to %s: an address is missing", ErrSpec, host, container)
	case container.Port() == 0 || container.Addr().IsUnspecified():
		return s, fmt.Errorf("%w: nothing can be sent to %s", ErrSpec, container)
	}
	return s, nil
}

func (s Spec) String() string { return fmt.Sprintf("%s:%s:%s", s.Proto, s.Host, s.Container) }

// network is the name for package net. With the family in it an IPv6 socket takes IPv6 alone, and 0.0.0.0 and :: can be
// listened on side by side.
func (s Spec) network() string {
	if s.Host.Addr().Is4() {
		return s.Proto + "4"
	}
	return s.Proto + "6"
}

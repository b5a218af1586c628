package network

import (
	"fmt"
	"net/netip"
)

// addresses is the subnet's allocator: pure, and rebuilt from the living endpoints.
type addresses struct {
	subnet netip.Prefix
	owner  map[netip.Addr]string // container id; the host's own addresses have owner "host"
}

// newAddresses reserves what no container may have: the network's address, the broadcast address and the gateway.
func newAddresses(subnet netip.Prefix, gateway netip.Addr) *addresses {
	return &addresses{subnet: subnet, owner: map[netip.Addr]string{
		subnet.Masked().Addr(): "host", lastAddr(subnet): "host", gateway: "host",
	}}
}

// take gives want, or with the zero Addr the lowest free address.
func (a *addresses) take(want netip.Addr, id string) (netip.Addr, error) {
	if want.IsValid() {
		return want, a.claim(want, id)
	}
	for addr := a.subnet.Masked().Addr().Next(); a.subnet.Contains(addr); addr = addr.Next() {
		if _, used := a.owner[addr]; !used {
			a.owner[addr] = id
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("subnet %s with %d in use: %w", a.subnet, len(a.owner), ErrNoAddress)
}

func (a *addresses) claim(addr netip.Addr, id string) error {
	if !a.subnet.Contains(addr) {
		return fmt.Errorf("address %s outside subnet %s: %w", addr, a.subnet, ErrInvalid)
	}
	if owner, used := a.owner[addr]; used && owner != id {
		return fmt.Errorf("address %s: %w", addr, ErrAddressInUse)
	}
	a.owner[addr] = id
	return nil
}

// release frees an address, if it is this container's.
func (a *addresses) release(addr netip.Addr, id string) {
	if a.owner[addr] == id {
		delete(a.owner, addr)
	}
}

// lastAddr is the broadcast address: all host bits set.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// ChooseSubnet is the first usual private subnet that overlaps nothing the host has an address in or a route to.
func ChooseSubnet(taken []netip.Prefix) (netip.Prefix, error) {
	for i := byte(18); i < 32; i++ {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, i}), 16); free(p, taken) == nil {
			return p, nil
		}
	}
	for i := range 16 {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(i * 16)}), 20); free(p, taken) == nil {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("every private subnet overlaps a network of this host: %w", ErrNoAddress)
}

// free tells which of the taken prefixes overlaps p. A default route overlaps everything and means nothing.
func free(p netip.Prefix, taken []netip.Prefix) error {
	for _, t := range taken {
		if t.Bits() > 0 && p.Overlaps(t) {
			return fmt.Errorf("subnet %s overlaps %s, which this host uses: %w", p, t, ErrInvalid)
		}
	}
	return nil
}

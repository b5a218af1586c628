package network

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// complete fills in the defaults, from the bridge if it is there already, and refuses what cannot work.
func complete(c Config) (Config, error) {
	if c.Bridge == "" {
		c.Bridge = "slipway0"
	}
	own, others, err := hostPrefixes(c.Bridge)
	if err != nil {
		return c, err
	}
	return fill(c, own, others)
}

// fill is the pure part: own are the bridge's addresses, others what the rest of the host has or routes to.
func fill(c Config, own, others []netip.Prefix) (Config, error) {
	switch {
	case c.NetnsDir == "":
		return c, fmt.Errorf("NetnsDir is empty: %w", ErrInvalid)
	case !c.Subnet.IsValid() && len(own) > 0:
		c.Subnet = own[0].Masked()
		c.Gateway = own[0].Addr()
	case !c.Subnet.IsValid():
		subnet, err := ChooseSubnet(others)
		if err != nil {
			return c, err
		}
		c.Subnet = subnet
	}
	if !c.Subnet.Addr().Is4() || c.Subnet.Bits() > 30 || c.Subnet.Bits() < 8 {
		return c, fmt.Errorf("subnet %s: want IPv4, /8 to /30: %w", c.Subnet, ErrInvalid)
	}
	if !c.Gateway.IsValid() { // 192.168.5.1/24 as subnet names its gateway too, as in dockerd's --bip
		if c.Gateway = c.Subnet.Addr(); c.Gateway == c.Subnet.Masked().Addr() {
			c.Gateway = c.Gateway.Next()
		}
	}
	c.Subnet = c.Subnet.Masked()
	if !c.Subnet.Contains(c.Gateway) || c.Gateway == c.Subnet.Addr() || c.Gateway == lastAddr(c.Subnet) {
		return c, fmt.Errorf("gateway %s is no host of subnet %s: %w", c.Gateway, c.Subnet, ErrInvalid)
	}
	return c, free(c.Subnet, others)
}

// hostPrefixes lists the IPv4 networks of this host: those of the bridge, and those of everything else.
func hostPrefixes(bridge string) (own, others []netip.Prefix, err error) {
	h, err := newHands()
	if err != nil {
		return nil, nil, err
	}
	defer h.close()
	index := -1
	if link, err := h.link(bridge); err == nil {
		index = link.Attrs().Index
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return h.host.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if p := prefixOf(a.IPNet); a.LinkIndex == index {
			own = append(own, p)
		} else {
			others = append(others, p)
		}
	}
	routes, err := dump(func() ([]netlink.Route, error) { return h.host.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && r.LinkIndex != index {
			others = append(others, prefixOf(r.Dst))
		}
	}
	return own, others, nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP.To4())
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr, bits)
}

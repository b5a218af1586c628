package network

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesAreGivenOnce(t *testing.T) {
	a := newAddresses(netip.MustParsePrefix("10.0.0.0/28"), netip.MustParseAddr("10.0.0.1"))
	seen := map[netip.Addr]bool{}
	for n := range 13 { // 16 less network, broadcast, gateway
		addr, err := a.take(netip.Addr{}, fmt.Sprint(n))
		require.NoError(t, err)
		require.False(t, seen[addr], "%s twice", addr)
		seen[addr] = true
	}
	for _, never := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.15"} {
		require.False(t, seen[netip.MustParseAddr(never)], never)
	}
	_, err := a.take(netip.Addr{}, "late")
	require.ErrorIs(t, err, ErrNoAddress)

	a.release(netip.MustParseAddr("10.0.0.7"), "not its owner")
	_, err = a.take(netip.Addr{}, "late")
	require.ErrorIs(t, err, ErrNoAddress)
	a.release(netip.MustParseAddr("10.0.0.7"), "5")
	got, err := a.take(netip.Addr{}, "late")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.7", got.String())
}

func TestAddressWanted(t *testing.T) {
	a := newAddresses(netip.MustParsePrefix("10.0.0.0/24"), netip.MustParseAddr("10.0.0.1"))
	rows := []struct {
		want string
		err  error
	}{{"10.0.0.9", nil}, {"10.0.0.9", ErrAddressInUse}, {"10.0.0.1", ErrAddressInUse}, {"10.0.0.255", ErrAddressInUse}, {"10.0.1.1", ErrInvalid}}
	for i, row := range rows {
		_, err := a.take(netip.MustParseAddr(row.want), fmt.Sprint(i))
		require.ErrorIs(t, err, row.err, row.want)
	}
}

// TestPublish is the exercise daemon.net-publish: which host port a binding gets.
func TestPublish(t *testing.T) {
	any4, any6, one := netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::"), netip.MustParseAddr("10.9.0.1")
	host := hostPorts{families: []netip.Addr{any4, any6}, low: 100, high: 104, reserved: map[uint16]bool{101: true}}
	foreign := func(p Port) error { // somebody listens on [::]:103
		if p.HostPort == 103 && p.HostIP == any6 {
			return fmt.Errorf("bind %s: %w", p.host(), ErrPortInUse)
		}
		return nil
	}
	both := func(p Proto, host, container uint16) []Port {
		return []Port{{p, any4, host, container}, {p, any6, host, container}}
	}
	rows := []struct {
		name string
		ask  []PortBinding
		want []Port
		err  string
	}{
		{"one port on every address", []PortBinding{{TCP, netip.Addr{}, 80, 0, 8000}}, both(TCP, 80, 8000), ""},
		{"udp beside tcp", []PortBinding{{UDP, netip.Addr{}, 80, 0, 8000}}, both(UDP, 80, 8000), ""},
		{"taken", []PortBinding{{TCP, netip.Addr{}, 80, 0, 1}}, nil, "Bind for 0.0.0.0:80 failed: port is already allocated"},
		{"taken by the wildcard", []PortBinding{{TCP, one, 80, 0, 1}}, nil, "Bind for 10.9.0.1:80 failed: port is already allocated"},
		{"taken within one request", []PortBinding{{TCP, one, 90, 0, 1}, {TCP, one, 90, 0, 2}}, nil, "Bind for 10.9.0.1:90 failed: port is already allocated"},
		{"one address", []PortBinding{{TCP, one, 81, 0, 1}}, []Port{{TCP, one, 81, 1}}, ""},
		{"any: the first of the range", []PortBinding{{TCP, netip.Addr{}, 0, 0, 1}}, both(TCP, 100, 1), ""},
		{"any: not a reserved one", []PortBinding{{TCP, netip.Addr{}, 0, 0, 1}}, both(TCP, 102, 1), ""},
		{"any: the same on both families, so not 103", []PortBinding{{TCP, netip.Addr{}, 0, 0, 1}}, both(TCP, 104, 1), ""},
		{"any: none left", []PortBinding{{TCP, netip.Addr{}, 0, 0, 1}}, nil, "already allocated"},
		{"of a wanted range the first free", []PortBinding{{TCP, netip.Addr{}, 80, 82, 1}}, both(TCP, 82, 1), ""},
		{"a foreign listener", []PortBinding{{UDP, netip.Addr{}, 103, 0, 1}}, nil, "bind [::]:103: port in use"},
		{"no container port", []PortBinding{{TCP, netip.Addr{}, 1, 0, 0}}, nil, "publish tcp port 0: invalid argument"},
		{"sctp", []PortBinding{{"sctp", netip.Addr{}, 1, 0, 1}}, nil, "publish sctp port 1: protocol: invalid argument"},
	}
	table := newPortTable()
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := table.take(fmt.Sprint(i), row.ask, host, foreign)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				require.NotContains(t, table.owner, fmt.Sprint(i), "a refused request keeps nothing")
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func TestFreedPortRests(t *testing.T) {
	host := hostPorts{families: []netip.Addr{netip.IPv4Unspecified()}, low: 100, high: 101}
	table := newPortTable()
	var got []uint16
	for range 3 {
		ports, err := table.take("a", []PortBinding{{Proto: TCP, ContainerPort: 1}}, host, func(Port) error { return nil })
		require.NoError(t, err)
		got = append(got, ports[0].HostPort)
		table.release("a")
	}
	require.Equal(t, []uint16{100, 101, 100}, got)
}

package network

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func exampleConfig() Config {
	return Config{
		Bridge: "slipway0", Subnet: netip.MustParsePrefix("172.18.0.0/16"), Gateway: netip.MustParseAddr("172.18.0.1"),
		NetnsDir: "/run/slipway/daemon/netns", IPForward: true,
	}
}

func exampleEndpoint() *Endpoint {
	addr := netip.MustParseAddr("172.18.0.2")
	return &Endpoint{
		ContainerID: "4f1c0e", EndpointID: "a0b1c2", NetworkID: NetworkID, Link: "veth1234567",
		NetnsPath: "/run/slipway/daemon/netns/4f1c0e-a0b1c2",
		IPv4:      netip.PrefixFrom(addr, 16), Gateway: netip.MustParseAddr("172.18.0.1"), MAC: macFor(addr).String(),
		Ports: []Port{
			{TCP, netip.MustParseAddr("0.0.0.0"), 8080, 80},
			{TCP, netip.MustParseAddr("::"), 8080, 80},
			{UDP, netip.MustParseAddr("10.9.0.1"), 53, 5353},
			{TCP, netip.MustParseAddr("127.0.0.1"), 6379, 6379},
		},
	}
}

func TestPlanGolden(t *testing.T) {
	c, e := exampleConfig(), exampleEndpoint()
	golden(t, "bridge.plan", PlanBridge(c).String())
	golden(t, "warm.plan", PlanWarm(c, e.Link, "pool 1").String())
	plan, err := PlanEndpoint(e)
	require.NoError(t, err)
	golden(t, "endpoint.plan", plan.String())
	golden(t, "rules.nft", PlanRules(c, []*Endpoint{e}).String())
}

func TestProxyArgs(t *testing.T) {
	require.Equal(t, []string{
		"--publish", "tcp:0.0.0.0:8080:172.18.0.2:80",
		"--publish", "tcp:[::]:8080:172.18.0.2:80",
		"--publish", "udp:10.9.0.1:53:172.18.0.2:5353",
		"--publish", "tcp:127.0.0.1:6379:172.18.0.2:6379",
	}, exampleEndpoint().ProxyArgs())
}

func TestFill(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	rows := []struct {
		name        string
		in          Config
		own, others []netip.Prefix
		subnet      string
		gateway     string
		err         string
	}{
		{name: "nothing said", subnet: "172.18.0.0/16", gateway: "172.18.0.1"},
		{name: "the default route is no overlap", others: []netip.Prefix{p("0.0.0.0/0")}, subnet: "172.18.0.0/16", gateway: "172.18.0.1"},
		{name: "the next one when the host uses it", others: []netip.Prefix{p("172.18.5.0/24")}, subnet: "172.19.0.0/16", gateway: "172.19.0.1"},
		{name: "the adopted bridge's own", own: []netip.Prefix{p("172.30.0.9/24")}, subnet: "172.30.0.0/24", gateway: "172.30.0.9"},
		{name: "as --bip says it", in: Config{Subnet: p("192.168.5.7/24")}, subnet: "192.168.5.0/24", gateway: "192.168.5.7"},
		{name: "overlap", in: Config{Subnet: p("10.0.0.0/8")}, others: []netip.Prefix{p("10.9.0.1/24")}, err: "subnet 10.0.0.0/8 overlaps 10.9.0.1/24, which this host uses: invalid argument"},
		{name: "gateway outside", in: Config{Subnet: p("10.0.0.0/24"), Gateway: a("10.0.1.1")}, err: "gateway 10.0.1.1 is no host of subnet 10.0.0.0/24: invalid argument"},
		{name: "too small", in: Config{Subnet: p("10.0.0.0/31")}, err: "subnet 10.0.0.0/31: want IPv4, /8 to /30: invalid argument"},
		{name: "IPv6", in: Config{Subnet: p("fd00::/64")}, err: "subnet fd00::/64: want IPv4, /8 to /30: invalid argument"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.in.NetnsDir = "/x"
			got, err := fill(row.in, row.own, row.others)
			if row.err != "" {
				require.EqualError(t, err, row.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.subnet, got.Subnet.String())
			require.Equal(t, row.gateway, got.Gateway.String())
		})
	}
}

func TestPlanSweep(t *testing.T) {
	live := []*Endpoint{{ContainerID: "a", Link: "veth1", NetnsPath: "/n/a"}, {ContainerID: "b", NetnsPath: "/n/b", Mode: ModeNone}}
	got := PlanSweep(Found{
		Links: map[string]string{"veth1": "a", "veth2": "z", "veth3": "pool 7", "veth4": "pool 6"},
		Pins:  []string{"/n/a", "/n/b", "/n/c"},
	}, live, "pool 7")
	require.ElementsMatch(t, []string{"veth2", "veth4"}, got.Links)
	require.Equal(t, []string{"/n/c"}, got.Pins)
}

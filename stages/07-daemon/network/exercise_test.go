package network

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// output is what a command prints, errors included: evidence for a person.
func output(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	return strings.TrimSpace(string(out))
}

// TestNetBridge is the exercise daemon.net-bridge: the steps that make a warm namespace a container's own.
func TestNetBridge(t *testing.T) {
	d := newDriver(t, Config{})
	neighbour(t)
	diagnosis := teach.Diagnosis{
		Exercise: "daemon.net-bridge", Title: "a container has an address, and the world has a way to it",
		Did:  "attached a container to the bridge: your plan was carried out in a network namespace that holds lo (up) and eth0 (down)",
		Read: "docs/07-network.md#bridge",
	}
	e, err := d.Attach(t.Context(), Request{ContainerID: id(1), Name: "web", Mode: ModeBridge})
	teach.Begun(t, err)
	fail := func(code, saw, want, means, try string) {
		t.Helper()
		diagnosis.Code, diagnosis.Saw, diagnosis.Want, diagnosis.Means, diagnosis.Try = code, saw, want, means, try
		teach.Fail(t, diagnosis)
	}
	if err != nil {
		fail("DAEMON-NET-1", err.Error(), "every step done",
			"the text before the colon is the step that failed. Network is unreachable, from a route, means that no link that is up has an address in the gateway's subnet",
			"unshare -n sh -c 'ip link add e type dummy; ip addr add 10.0.0.2/24 dev e; ip route add default via 10.0.0.1'")
	}
	t.Cleanup(func() { require.NoError(t, d.Detach(t.Context(), e)) })
	if run("nsenter", "--net="+e.NetnsPath, "true") != nil {
		fail("DAEMON-NET-2", "nsenter: "+output("nsenter", "--net="+e.NetnsPath, "true"), "a namespace that can be entered at that path",
			"when the plan had been done, its last descriptor was closed. A namespace that no process, no descriptor and no mount holds is gone, with its links",
			"man 7 namespaces, the section on the lifetime of a namespace")
	}
	inside := func(args ...string) string {
		return output("nsenter", append([]string{"--net=" + e.NetnsPath}, args...)...)
	}
	shown := inside("ip", "-o", "-4", "addr", "show", "dev", inner)
	if !strings.Contains(shown, e.IPv4.String()) || run("nsenter", "--net="+e.NetnsPath, "busybox", "ping", "-c3", "-W1", e.Gateway.String()) != nil {
		fail("DAEMON-NET-3", "addresses: "+shown+"\nlinks: "+inside("ip", "-br", "link"), e.IPv4.String()+" on eth0, and an answer from the gateway "+e.Gateway.String(),
			"the bridge's port has carrier only when both ends of the veth are up; an address of the right length gives the route to the subnet",
			"nsenter --net=PATH ip addr; bridge link")
	}
	if run("nsenter", "--net="+e.NetnsPath, "busybox", "ping", "-c3", "-W1", "10.9.0.2") != nil {
		fail("DAEMON-NET-4", "routes: "+inside("ip", "route")+"\nping 10.9.0.2: "+inside("busybox", "ping", "-c1", "-W1", "10.9.0.2"), "default via "+e.Gateway.String(),
			"the container knows its own subnet and nothing else: 10.9.0.2, a neighbour of the host, is not in it", "nsenter --net=PATH ip route get 10.9.0.2")
	}
	mac := inside("cat", "/sys/class/net/eth0/address")
	if shown := inside("ip", "-o", "link", "show", "dev", inner); !strings.Contains(shown, e.MAC) {
		fail("DAEMON-NET-5", shown, "link/ether "+e.MAC, "the kernel made up a MAC ("+mac+"). The next container with this address would have another, and neighbours remember the old one for a minute", "ip neigh")
	}
	alias := output("cat", "/sys/class/net/"+e.Link+"/ifalias")
	next, err := New(t.Context(), d.cfg) // the daemon's next life
	require.NoError(t, err)
	require.NoError(t, next.Reconcile(t.Context(), []*Endpoint{e}))
	if _, err := exec.Command("ip", "link", "show", e.Link).Output(); err != nil {
		fail("DAEMON-NET-6", fmt.Sprintf("ifalias of the host's end: %q; after a restart of the daemon the link was swept", strings.ReplaceAll(alias, e.Link, "veth…")), "ifalias "+e.ContainerID,
			"after a crash the kernel is asked whose link this is, and there was no name on it: a running container lost its network", "ip -d link show master slipway0")
	}
}

// TestNetPublish is the exercise daemon.net-publish: which host port a binding gets.
func TestNetPublish(t *testing.T) {
	any4, any6 := netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::")
	host := hostPorts{families: []netip.Addr{any4, any6}, low: 100, high: 104}
	foreign := func(p Port) error { // somebody else listens on [::]:101
		if p.HostPort == 101 && p.HostIP == any6 {
			return fmt.Errorf("bind %s: %w", p.host(), ErrPortInUse)
		}
		return nil
	}
	rows := []struct {
		code, did string
		ask       []PortBinding
		want      string
		means     string
	}{
		{
			"DAEMON-PUB-1", "-p 80:8000 on a free host",
			[]PortBinding{{TCP, netip.Addr{}, 80, 0, 8000}},
			"0.0.0.0:80 [::]:80",
			"a binding without an address stands for every address of the host: host.families",
		},
		{
			"DAEMON-PUB-2", "-p 101:1 while somebody listens on [::]:101",
			[]PortBinding{{TCP, netip.Addr{}, 101, 0, 1}},
			"error: bind [::]:101: port in use",
			"a port is free when it is free on all the addresses that the binding stands for, not on the first",
		},
		{
			"DAEMON-PUB-3", "-p 1 (any host port) twice; 100 goes to the first, 101 is a stranger's",
			[]PortBinding{{TCP, netip.Addr{}, 0, 0, 1}, {TCP, netip.Addr{}, 0, 0, 2}},
			"0.0.0.0:100 [::]:100 0.0.0.0:102 [::]:102",
			"of several candidates one that is refused is no error: the next is tried",
		},
		{
			"DAEMON-PUB-4", "-p 90:1 -p 90:2 for one container",
			[]PortBinding{{TCP, netip.Addr{}, 90, 0, 1}, {TCP, netip.Addr{}, 90, 0, 2}},
			"error: Bind for 0.0.0.0:90 failed: port is already allocated",
			"the ports decided earlier in the same request are in nobody's table yet: they come as mine",
		},
		{
			"DAEMON-PUB-5", "-p 80-82:1 while 80 is taken",
			[]PortBinding{{TCP, netip.Addr{}, 80, 82, 1}},
			"0.0.0.0:81 [::]:81",
			"a range asks for any one of its ports: t.candidates gives them in order",
		},
		{
			"DAEMON-PUB-6", "-p 1 once more, after the container that had 100 and 102 has gone",
			[]PortBinding{{TCP, netip.Addr{}, 0, 0, 1}},
			"0.0.0.0:103 [::]:103",
			"the search goes on behind the port that was given last (t.next), so that a port just freed rests",
		},
	}
	table := newPortTable()
	for i, row := range rows {
		if row.code == "DAEMON-PUB-6" {
			table.release("2")
		}
		ports, err := table.take(fmt.Sprint(i), row.ask, host, foreign)
		teach.Begun(t, err)
		var words []string
		for _, p := range ports {
			words = append(words, p.host())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != row.want {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "daemon.net-publish", Title: "a published port that nobody else has", Code: row.code,
				Did: row.did, Saw: got, Want: row.want, Means: row.means,
				Try: "go test -run TestPublish ./network", Read: "docs/07-network.md#publish",
			})
		}
	}
}

package network

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// A Plan is the ordered list of what must be done, as data: golden tests and people read the same lines, and exec.go
// carries them out.
type Plan []Step

// Step is one act with its reason.
type Step struct {
	Side    Side
	Op      Op
	Because string
}

// Side tells in which network namespace a step acts.
type Side string

// The two sides.
const (
	Host   Side = "host"
	Inside Side = "inside"
)

// Op is one act on the kernel. String is the command that would do the same by hand.
type Op interface {
	fmt.Stringer
	do(*hands) error
}

// The acts. Each has its do method in exec.go.
type (
	NewNamespace struct{}                    // the namespace that later Inside steps act in
	Pin          struct{ Path string }       // bind-mount it on a file, so that it outlives us
	Sysctl       struct{ Key, Value string } // below /proc/sys, with slashes
	AddBridge    struct {
		Name string
		MTU  int
	}
	AddVeth struct {
		Name, Peer, Bridge string
		MTU                int
	}
	SetAlias   struct{ Link, Alias string }
	SetMAC     struct{ Link, MAC string }
	SetHairpin struct{ Link string }
	SetUp      struct{ Link string }
	AddAddress struct {
		Link   string
		Prefix netip.Prefix
	}
	AddDefault struct {
		Link    string
		Gateway netip.Addr
	}
)

// String prints the plan with its reasons.
func (p Plan) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "%2d  %-6s  %-62s  # %s\n", i+1, s.Side, s.Op, s.Because)
	}
	return b.String()
}

func (NewNamespace) String() string { return "unshare --net" }
func (o Pin) String() string        { return "mount --bind /proc/thread-self/ns/net " + o.Path }
func (o Sysctl) String() string     { return fmt.Sprintf("sysctl -w %s=%q", o.Key, o.Value) }
func (o AddBridge) String() string {
	return fmt.Sprintf("ip link add %s%s type bridge", o.Name, mtuText(o.MTU))
}

func (o AddVeth) String() string {
	return fmt.Sprintf("ip link add %s%s master %s up type veth peer %s netns inside", o.Name, mtuText(o.MTU), o.Bridge, o.Peer)
}

func (o SetAlias) String() string { return fmt.Sprintf("ip link set %s alias %s", o.Link, o.Alias) }

func (o SetMAC) String() string { return fmt.Sprintf("ip link set %s address %s", o.Link, o.MAC) }

func (o SetHairpin) String() string { return fmt.Sprintf("bridge link set dev %s hairpin on", o.Link) }
func (o SetUp) String() string      { return fmt.Sprintf("ip link set %s up", o.Link) }
func (o AddAddress) String() string { return fmt.Sprintf("ip addr add %s dev %s", o.Prefix, o.Link) }

func (o AddDefault) String() string {
	return fmt.Sprintf("ip route add default via %s dev %s", o.Gateway, o.Link)
}

func mtuText(mtu int) string {
	if mtu == 0 {
		return ""
	}
	return fmt.Sprintf(" mtu %d", mtu)
}

// inner is the name of the interface that a container sees.
const inner = "eth0"

// PlanBridge makes or adopts the bridge: every step may find its work done.
func PlanBridge(c Config) Plan {
	p := Plan{
		{Host, AddBridge{c.Bridge, c.MTU}, "a switch inside the kernel; containers are plugged into it"},
		{Host, Sysctl{"net/ipv6/conf/" + c.Bridge + "/disable_ipv6", "1"}, "an IPv4 network has no link-local side door (CVE-2024-32473)"},
		{Host, Sysctl{"net/ipv6/conf/" + c.Bridge + "/accept_ra", "0"}, "a container must not announce a router to the host (CVE-2020-13401)"},
		{Host, AddAddress{c.Bridge, netip.PrefixFrom(c.Gateway, c.Subnet.Bits())}, "the host is the containers' gateway"},
		{Host, SetUp{c.Bridge}, "a link that is down carries nothing"},
	}
	if c.IPForward {
		p = append(p, Step{Host, Sysctl{"net/ipv4/ip_forward", "1"}, "a gateway passes packets on; without it a ping out hangs"})
	}
	return p
}

// PlanWarm is what can be done before anybody knows which container it is for.
func PlanWarm(c Config, link, alias string) Plan {
	return append(PlanNamespace(),
		Step{Host, AddVeth{link, inner, c.Bridge, c.MTU}, "a cable; its far end is born inside, so no name can clash on the host"},
		Step{Host, SetAlias{link, alias}, "so that our own sweep spares it"},
		Step{Host, Sysctl{"net/ipv6/conf/" + link + "/disable_ipv6", "1"}, "the host's end needs no address at all"},
		Step{Host, SetHairpin{link}, "a frame may go back where it came from: a container that calls its own published port"},
	)
}

// PlanNamespace is a namespace with lo and nothing else: what --network none gives.
func PlanNamespace() Plan {
	return Plan{
		{Host, NewNamespace{}, "network_namespaces(7): its own links, addresses, routes, ports and firewall"},
		{Inside, Sysctl{"net/ipv6/conf/default/disable_ipv6", "1"}, "for links still to come; lo keeps ::1 (CVE-2024-32473)"},
		{Inside, Sysctl{"net/ipv6/conf/default/accept_ra", "0"}, "no neighbour chooses the container's routes (CVE-2020-13401)"},
		{Inside, SetUp{"lo"}, "a new namespace has lo, but down: even 127.0.0.1 is unreachable"},
	}
}

// PlanEndpoint makes a warm namespace the container's own. Pin is last: whatever dies before it leaves nothing, because a
// namespace without a process, a descriptor or a mount is gone, and takes its veth along.
func PlanEndpoint(e *Endpoint) (Plan, error) {
	if e.Link == "" || e.NetnsPath == "" || !e.IPv4.IsValid() || !e.Gateway.IsValid() {
		return nil, fmt.Errorf("endpoint of %s without link, namespace or address: %w", e.ContainerID, ErrInvalid)
	}
	//ex:begin daemon.net-bridge
	return Plan{
		{Host, SetAlias{e.Link, e.ContainerID}, "who owns this link is asked of the kernel after a crash"},
		{Inside, SetMAC{inner, e.MAC}, "made from the address, so that a neighbour's stale ARP entry stays true"},
		{Inside, AddAddress{inner, e.IPv4}, "the address, and with it the route to the subnet"},
		{Inside, SetUp{inner}, "now the bridge's port has carrier"},
		{Inside, AddDefault{inner, e.Gateway}, "everything else goes to the host"},
		{Host, Pin{e.NetnsPath}, "namespaces(7): a bind mount keeps it while no process is inside"},
	}, nil
	//ex:stub
	// return nil, todo.Exercise("daemon.net-bridge")
	//ex:end daemon.net-bridge
}

// macFor derives a MAC from an address as Docker does: 02:42 (locally administered, RFC 7042 section 2.1), then the four bytes.
func macFor(a netip.Addr) net.HardwareAddr {
	four := a.As4()
	return append(net.HardwareAddr{0x02, 0x42}, four[:]...)
}

package network

import (
	"fmt"
	"net/netip"
)

// hostPorts is what the port planner knows of the host.
type hostPorts struct {
	families  []netip.Addr    // what a binding without HostIP stands for: 0.0.0.0, and :: where something serves it
	low, high uint16          // net.ipv4.ip_local_port_range
	reserved  map[uint16]bool // net.ipv4.ip_local_reserved_ports
}

// portTable is who has which port, by endpoint; pure, and rebuilt from the living endpoints.
type portTable struct {
	owner map[string][]Port // container id to its ports
	next  map[Proto]uint16  // where the search for any port goes on, so that a freed one rests
}

func newPortTable() *portTable {
	return &portTable{owner: map[string][]Port{}, next: map[Proto]uint16{}}
}

// try really binds a port. Its error, if any, is the kernel's.
type try func(Port) error

// take decides all ports of one container, or none.
func (t *portTable) take(id string, bindings []PortBinding, host hostPorts, bind try) ([]Port, error) {
	var mine []Port
	for _, b := range bindings {
		ports, err := t.decide(b, mine, host, bind)
		if err != nil {
			return nil, err
		}
		mine = append(mine, ports...)
	}
	t.owner[id] = mine
	return mine, nil
}

func (t *portTable) release(id string) { delete(t.owner, id) }

// decide finds the host port for one binding: the first candidate that is free on every address it stands for.
// A single wanted port that is not free is an error; of a range, and of "any", the next candidate is tried.
func (t *portTable) decide(b PortBinding, mine []Port, host hostPorts, bind try) ([]Port, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	//ex:begin daemon.net-publish
	addresses := host.families
	if b.HostIP.IsValid() {
		addresses = []netip.Addr{b.HostIP}
	}
	refused := fmt.Errorf("publish %s port %d: no host port to choose from: %w", b.Proto, b.ContainerPort, ErrPortInUse)
	for _, candidate := range t.candidates(b, host) {
		ports := make([]Port, len(addresses))
		for i, a := range addresses {
			ports[i] = Port{Proto: b.Proto, HostIP: a, HostPort: candidate, ContainerPort: b.ContainerPort}
		}
		if refused = t.allFree(ports, mine, bind); refused == nil {
			if b.HostPort == 0 {
				t.next[b.Proto] = candidate + 1
			}
			return ports, nil
		}
	}
	return nil, refused
	//ex:stub
	// return nil, todo.Exercise("daemon.net-publish")
	//ex:end daemon.net-publish
}

// check refuses what no port can be.
func (b PortBinding) check() error {
	switch {
	case b.Proto != TCP && b.Proto != UDP:
		return fmt.Errorf("publish %s port %d: protocol: %w", b.Proto, b.ContainerPort, ErrInvalid)
	case b.ContainerPort == 0:
		return fmt.Errorf("publish %s port 0: %w", b.Proto, ErrInvalid)
	case b.HostPortEnd != 0 && b.HostPortEnd < b.HostPort:
		return fmt.Errorf("publish on host ports %d-%d: %w", b.HostPort, b.HostPortEnd, ErrInvalid)
	}
	return nil
}

// candidates are the host ports to try, in order.
func (t *portTable) candidates(b PortBinding, host hostPorts) []uint16 {
	if b.HostPort != 0 {
		return span(b.HostPort, max(b.HostPort, b.HostPortEnd), nil)
	}
	start := t.next[b.Proto]
	if start < host.low || start > host.high {
		start = host.low
	}
	return append(span(start, host.high, host.reserved), span(host.low, start-1, host.reserved)...)
}

func span(from, to uint16, but map[uint16]bool) []uint16 {
	var list []uint16
	for p := int(from); p <= int(to); p++ {
		if !but[uint16(p)] {
			list = append(list, uint16(p))
		}
	}
	return list
}

// allFree asks first our own table and then the kernel.
func (t *portTable) allFree(ports, mine []Port, bind try) error {
	for _, p := range ports {
		if t.taken(p, mine) {
			//lint:ignore ST1005 Docker's words, which clients know
			return fmt.Errorf("Bind for %s failed: port is already allocated%w", p.host(), silent{ErrPortInUse})
		}
	}
	for _, p := range ports {
		if err := bind(p); err != nil {
			return err
		}
	}
	return nil
}

func (t *portTable) taken(p Port, mine []Port) bool {
	for _, other := range mine {
		if p.clashes(other) {
			return true
		}
	}
	for _, ports := range t.owner {
		for _, other := range ports {
			if p.clashes(other) {
				return true
			}
		}
	}
	return false
}

// clashes tells whether two ports cannot both be bound: the wildcard address holds the port on every address of its family.
func (p Port) clashes(q Port) bool {
	same := p.HostIP == q.HostIP
	wild := p.HostIP.Is4() == q.HostIP.Is4() && (p.HostIP.IsUnspecified() || q.HostIP.IsUnspecified())
	return p.Proto == q.Proto && p.HostPort == q.HostPort && (same || wild)
}

// silent is an error that can be found but adds no words to a text that is a protocol.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

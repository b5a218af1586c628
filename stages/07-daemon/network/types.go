// Package network gives containers an address: one bridge, NAT by nftables, and published ports.
//
// Decisions are pure (plan.go, ipam.go, ports.go, rules.go) and return data; driver.go carries them out.
// Nothing is stored. What is allocated follows from the endpoints that the daemon hands to [Driver.Reconcile],
// and what exists follows from the kernel: a veth carries its container's id as ifalias, a namespace is a file
// below NetnsDir, a published port is an element of a map in the nft table "slipway".
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Config is one bridge network. The zero value of every field but NetnsDir has a default.
type Config struct {
	Bridge    string       // name of the bridge; default slipway0
	Subnet    netip.Prefix // default 172.18.0.0/16 (Docker's own bridge has 172.17)
	Gateway   netip.Addr   // the bridge's own address; default the first of Subnet
	MTU       int          // of bridge and veths; 0 leaves the kernel's 1500
	NetnsDir  string       // network namespaces are bind-mounted here as NetnsDir/CONTAINERID
	ProxyPath string       // slipway-proxy; empty: ports are served by nftables alone, so not on 127.0.0.1
	IPForward bool         // turn net.ipv4.ip_forward on when it is off
	Pool      int          // namespaces kept ready, so that Attach need not wait for the kernel's RCU; 0 is none
}

// NetworkID names the bridge network in endpoints and in the API.
const NetworkID = "bridge"

// Mode is how a container meets the network.
type Mode string

// The three modes. A container in ModeHost has no namespace and no address of ours.
const (
	ModeBridge Mode = "bridge"
	ModeNone   Mode = "none"
	ModeHost   Mode = "host"
)

// Proto is a transport protocol with ports.
type Proto string

// The protocols that can be published.
const (
	TCP Proto = "tcp"
	UDP Proto = "udp"
)

// Request asks for one container's endpoint.
type Request struct {
	ContainerID string // 64 hex digits, or any name that is good as a file name
	Name        string // of the container, for error texts
	Hostname    string
	Mode        Mode
	MAC         net.HardwareAddr // optional: 02:42 and the address otherwise
	IPv4        netip.Addr       // optional: the lowest free one otherwise
	Ports       []PortBinding
}

// PortBinding asks for one container port to be reachable on the host.
type PortBinding struct {
	Proto         Proto
	HostIP        netip.Addr // zero: all addresses of the host, IPv4 and IPv6
	HostPort      uint16     // 0: any free one of ip_local_port_range
	HostPortEnd   uint16     // 0 or HostPort: that port alone; more: any free one of the range
	ContainerPort uint16
}

// Port is a binding that was decided. One PortBinding without HostIP becomes two of them, for 0.0.0.0 and for ::.
type Port struct {
	Proto         Proto      `json:"proto"`
	HostIP        netip.Addr `json:"hostIP"`
	HostPort      uint16     `json:"hostPort"`
	ContainerPort uint16     `json:"containerPort"`
}

// Endpoint is what one container got. It is the daemon's to keep: record it before the container starts, and hand all
// of them to Reconcile after a crash. An endpoint that was never recorded is swept there.
type Endpoint struct {
	ContainerID string       `json:"containerID"`
	Name        string       `json:"name"`
	Mode        Mode         `json:"mode"`
	EndpointID  string       `json:"endpointID,omitempty"`
	NetworkID   string       `json:"networkID"`
	NetnsPath   string       `json:"netnsPath,omitempty"` // empty: the host's
	Link        string       `json:"link,omitempty"`      // the veth's end on the host
	IPv4        netip.Prefix `json:"ipv4"`                // with the subnet's length
	Gateway     netip.Addr   `json:"gateway"`
	MAC         string       `json:"mac,omitempty"`
	Ports       []Port       `json:"ports,omitempty"`
	DNSNames    []string     `json:"dnsNames,omitempty"` // name, short id, hostname: without doubles
}

// Errors of Attach, to be found with errors.Is.
var (
	ErrPortInUse    = errors.New("port in use")
	ErrNoAddress    = errors.New("no free address")
	ErrAddressInUse = errors.New("address already in use")
	ErrInvalid      = errors.New("invalid argument")
)

// ProxyArgs are the arguments of slipway-proxy (without the program) that serve the endpoint's ports;
// nil when nothing is published.
func (e *Endpoint) ProxyArgs() []string {
	var args []string
	for _, p := range e.Ports {
		args = append(args, "--publish", p.spec(e.IPv4.Addr()))
	}
	return args
}

// spec is the --publish form of docs/boundaries.md; an IPv6 address stands in brackets.
func (p Port) spec(container netip.Addr) string {
	return fmt.Sprintf("%s:%s:%s", p.Proto, p.host(), netip.AddrPortFrom(container, p.ContainerPort))
}

// host is the port's address on the host as people write it: 0.0.0.0:8080 or [::]:8080.
func (p Port) host() string {
	return net.JoinHostPort(p.HostIP.String(), strconv.Itoa(int(p.HostPort)))
}

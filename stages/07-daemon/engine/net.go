package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	apinetwork "github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
)

// attachNetwork asks the driver for an endpoint; nil when the container shares another one's network.
func (e *Engine) attachNetwork(ctx context.Context, c *Container) (*network.Endpoint, error) {
	rec := c.View().Record
	req, err := networkRequest(rec)
	if err != nil || rec.HostConfig.NetworkMode.IsContainer() {
		return nil, err
	}
	endpoint, err := e.Network.Attach(ctx, req)
	switch {
	case errors.Is(err, network.ErrPortInUse):
		return nil, fault.System("%w", err)
	case errors.Is(err, network.ErrInvalid):
		return nil, fault.Invalid("%w", err)
	case err != nil:
		return nil, fmt.Errorf("network of container %s: %w", rec.Name, err)
	}
	return endpoint, nil
}

// networkRequest translates Docker's configuration; it is pure.
func networkRequest(rec Record) (network.Request, error) {
	hc := rec.HostConfig
	req := network.Request{ContainerID: rec.ID, Name: rec.Name, Hostname: rec.Config.Hostname, Mode: network.ModeBridge}
	switch {
	case hc.NetworkMode.IsHost():
		req.Mode = network.ModeHost
		return req, nil
	case hc.NetworkMode.IsNone() || rec.Config.NetworkDisabled:
		req.Mode = network.ModeNone
		return req, nil
	}
	if s := rec.Networking[string(hc.NetworkMode)]; s != nil {
		req.MAC = net.HardwareAddr(s.MacAddress)
		if s.IPAMConfig != nil {
			req.IPv4 = s.IPAMConfig.IPv4Address
		}
	}
	published := map[apinetwork.Port]bool{}
	for port, bindings := range hc.PortBindings {
		published[port] = true
		if len(bindings) == 0 {
			bindings = []apinetwork.PortBinding{{}}
		}
		for _, b := range bindings {
			p, err := portBinding(port, b)
			if err != nil {
				return req, err
			}
			req.Ports = append(req.Ports, p)
		}
	}
	if hc.PublishAllPorts {
		for port := range rec.Config.ExposedPorts {
			if !published[port] {
				req.Ports = append(req.Ports, network.PortBinding{Proto: network.Proto(port.Proto()), ContainerPort: port.Num()})
			}
		}
	}
	return req, nil
}

func portBinding(port apinetwork.Port, b apinetwork.PortBinding) (network.PortBinding, error) {
	out := network.PortBinding{Proto: network.Proto(port.Proto()), HostIP: b.HostIP, ContainerPort: port.Num()}
	if b.HostPort == "" {
		return out, nil
	}
	from, to, isRange := strings.Cut(b.HostPort, "-")
	for _, n := range []struct {
		text string
		to   *uint16
		used bool
	}{{from, &out.HostPort, true}, {to, &out.HostPortEnd, isRange}} {
		if !n.used {
			continue
		}
		v, err := strconv.ParseUint(n.text, 10, 16)
		if err != nil {
			return out, fault.Invalid("invalid port specification: %q", b.HostPort)
		}
		*n.to = uint16(v)
	}
	return out, nil
}

// writeFiles makes hostname, hosts and resolv.conf, which are bind-mounted into the container.
func (e *Engine) writeFiles(c *Container, rec Record) error {
	hosts, resolv, err := e.nameFiles(rec)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"hostname": []byte(rec.Config.Hostname + "\n"), "hosts": hosts, "resolv.conf": resolv,
	} {
		if have, err := os.ReadFile(c.file(name)); err == nil && bytes.Equal(have, content) {
			continue
		}
		if err := os.WriteFile(c.file(name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) nameFiles(rec Record) (hosts, resolv []byte, err error) {
	hc := rec.HostConfig
	if hc.NetworkMode.IsHost() && len(hc.ExtraHosts)+len(hc.DNS)+len(hc.DNSSearch)+len(hc.DNSOptions) == 0 {
		hosts, err = os.ReadFile("/etc/hosts")
		if err != nil && !os.IsNotExist(err) {
			return nil, nil, err
		}
		resolv, err = os.ReadFile(e.ResolvConf)
		if err != nil && !os.IsNotExist(err) {
			return nil, nil, err
		}
		return hosts, resolv, nil
	}
	h := network.Hosts{Hostname: rec.Config.Hostname, Domainname: rec.Config.Domainname}
	var gateway netip.Addr
	if ep := rec.Endpoint; ep != nil {
		h.IPv4, gateway = ep.IPv4.Addr(), ep.Gateway
	}
	for _, extra := range hc.ExtraHosts {
		entry, err := extraHost(extra, gateway)
		if err != nil {
			return nil, nil, err
		}
		h.Extra = append(h.Extra, entry)
	}
	if hosts, err = network.HostsFile(h); err != nil {
		return nil, nil, fault.Invalid("%w", err)
	}
	own, err := os.ReadFile(e.ResolvConf)
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	r := network.Resolver{Servers: e.DNS, Search: hc.DNSSearch, Options: hc.DNSOptions}
	if len(hc.DNS) > 0 {
		r.Servers = nil
		for _, a := range hc.DNS {
			r.Servers = append(r.Servers, a.String())
		}
	}
	if resolv, err = network.ResolvConf(own, r); err != nil {
		return nil, nil, fault.Invalid("%w", err)
	}
	return hosts, resolv, nil
}

// extraHost reads NAME:ADDRESS of --add-host; host-gateway is the bridge's own address.
func extraHost(text string, gateway netip.Addr) (network.HostEntry, error) {
	name, address, ok := strings.Cut(text, ":")
	if !ok {
		return network.HostEntry{}, fault.Invalid("bad format for add-host: %q", text)
	}
	if address == "host-gateway" {
		return network.HostEntry{Name: name, Addr: gateway}, nil
	}
	a, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return network.HostEntry{}, fault.Invalid("invalid IP address in add-host: %q", address)
	}
	return network.HostEntry{Name: name, Addr: a}, nil
}

// sidecar is slipway-proxy's command line. A foreign shim does not know the annotation; nftables alone serves there.
func (e *Engine) sidecar(ep *network.Endpoint) []string {
	if ep == nil || e.ClassicStdio {
		return nil
	}
	return e.Network.Sidecar(ep)
}

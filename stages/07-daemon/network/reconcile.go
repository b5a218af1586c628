package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Found is what the kernel and the file system hold of our network.
type Found struct {
	Links map[string]string // veths on the bridge: name to ifalias
	Pins  []string          // files in NetnsDir
}

// Sweep is what Reconcile removes.
type Sweep struct {
	Links []string
	Pins  []string
}

// PlanSweep compares what is found with what lives. A link is kept for its alias (spare is
// that of links in our own pool), a pin for its path.
func PlanSweep(f Found, live []*Endpoint, spare string) Sweep {
	keepPin, owner := map[string]bool{}, map[string]string{}
	for _, e := range live {
		keepPin[e.NetnsPath] = true
		owner[e.Link] = e.ContainerID
	}
	var s Sweep
	for name, alias := range f.Links {
		if alias != spare && (owner[name] == "" || owner[name] != alias) {
			s.Links = append(s.Links, name)
		}
	}
	for _, path := range f.Pins {
		if !keepPin[path] {
			s.Pins = append(s.Pins, path)
		}
	}
	return s
}

// Reconcile makes the network hold exactly the given endpoints: what nobody recorded is swept, the allocators are rebuilt,
// and the nft table is put in place whole, in one transaction. To be called once after New, before the first Attach.
func (d *Driver) Reconcile(_ context.Context, live []*Endpoint) error {
	if err := d.adopt(live); err != nil {
		return err
	}
	if d.lack != nil {
		return d.sweep(live)
	}
	d.nft.Lock()
	err := firewall{}.replace(PlanRules(d.cfg, d.endpoints()))
	d.nft.Unlock()
	return errors.Join(err, d.sweep(live))
}

// adopt rebuilds the allocators.
func (d *Driver) adopt(live []*Endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs, d.ports, d.live = newAddresses(d.cfg.Subnet, d.cfg.Gateway), newPortTable(), map[string]*Endpoint{}
	var errs []error
	for _, e := range live {
		if e.Mode != ModeBridge {
			continue
		}
		if err := d.addrs.claim(e.IPv4.Addr(), e.EndpointID); err != nil {
			errs = append(errs, fmt.Errorf("endpoint of %s: %w", e.ContainerID, err))
			continue
		}
		d.ports.owner[e.ContainerID] = e.Ports
		d.live[e.ContainerID] = e
	}
	return errors.Join(errs...)
}

// sweep removes what is nobody's.
func (d *Driver) sweep(live []*Endpoint) error {
	h, err := newHands()
	if err != nil {
		return err
	}
	defer h.close()
	found, err := d.find(h)
	if err != nil {
		return err
	}
	plan := PlanSweep(found, live, d.poolAlias)
	var errs []error
	for _, path := range plan.Pins {
		errs = append(errs, unpin(path))
	}
	for _, name := range plan.Links {
		link, err := h.link(name)
		if err == nil {
			err = h.host.LinkDel(link)
		}
		if err != nil && !isGone(err) {
			errs = append(errs, fmt.Errorf("delete link %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Driver) find(h *hands) (Found, error) {
	f := Found{Links: map[string]string{}}
	bridge, err := h.link(d.cfg.Bridge)
	if err != nil {
		return f, fmt.Errorf("bridge %s: %w", d.cfg.Bridge, err)
	}
	links, err := dump(h.host.LinkList)
	if err != nil {
		return f, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		if l.Type() == "veth" && l.Attrs().MasterIndex == bridge.Attrs().Index {
			f.Links[l.Attrs().Name] = l.Attrs().Alias
		}
	}
	names, err := os.ReadDir(d.cfg.NetnsDir)
	if err != nil {
		return f, err
	}
	for _, n := range names {
		f.Pins = append(f.Pins, filepath.Join(d.cfg.NetnsDir, n.Name()))
	}
	return f, nil
}

// forgetFlows makes conntrack forget UDP flows to the endpoint's host ports: a client that keeps sending would keep its old
// way, past the maps, for ever. Without conntrack there is nothing to forget.
func forgetFlows(e *Endpoint) {
	for _, p := range e.Ports {
		if p.Proto != UDP || !p.HostIP.Is4() {
			continue
		}
		var f netlink.ConntrackFilter
		if f.AddProtocol(unix.IPPROTO_UDP) == nil && f.AddPort(netlink.ConntrackOrigDstPort, p.HostPort) == nil {
			_, _ = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, &f)
		}
	}
}

package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Driver is one bridge network in the network namespace that New was called in.
type Driver struct {
	cfg       Config
	lack      error // why there is no bridge network here; nil when there is
	pool      *pool
	poolAlias string         // the ifalias of links in the pool: no earlier driver's
	later     sync.WaitGroup // of work that Close waits for: links that take their time to go

	mu    sync.Mutex // guards the three below
	addrs *addresses
	ports *portTable
	live  map[string]*Endpoint // by container id

	nft sync.Mutex // one transaction at a time; taken after mu where both are
}

// New makes the bridge, or adopts one of that name with its address, and the nft table if there is none. A table that is
// there is left alone until Reconcile, so that published ports of running containers have no gap. A kernel that has no
// bridges or no nftables still gives the modes host and none: see Lack.
func New(_ context.Context, c Config) (*Driver, error) {
	c, err := complete(c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.NetnsDir, 0o700); err != nil {
		return nil, err
	}
	d := &Driver{cfg: c, addrs: newAddresses(c.Subnet, c.Gateway), ports: newPortTable(), live: map[string]*Endpoint{}}
	d.poolAlias = "pool " + newID()[:12]
	if err := prepare(c); errors.Is(err, errors.ErrUnsupported) {
		d.lack = fmt.Errorf("no bridge network: this kernel has no %w; --network host and none work", err)
		c.Pool = 0
	} else if err != nil {
		return nil, err
	}
	d.pool = newPool(c.Pool, d.warm)
	return d, nil
}

// prepare makes the bridge and the table.
func prepare(c Config) error {
	h, err := newHands()
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.carryOut(PlanBridge(c)); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	there, err := firewall{}.exists()
	if err == nil && !there {
		err = firewall{}.replace(PlanRules(c, nil))
	}
	if err != nil {
		return fmt.Errorf("nftables for IPv4: %w", err)
	}
	return nil
}

// Lack is why this machine has no bridge network; nil when it has one.
func (d *Driver) Lack() error { return d.lack }

// Config is the configuration with its defaults filled in.
func (d *Driver) Config() Config { return d.cfg }

// Sidecar is the command line of the endpoint's slipway-proxy; nil when it needs none.
func (d *Driver) Sidecar(e *Endpoint) []string {
	args := e.ProxyArgs()
	if args == nil || d.cfg.ProxyPath == "" {
		return nil
	}
	return append([]string{d.cfg.ProxyPath}, args...)
}

// Close ends the background work. Containers, their links and their ports stay.
func (d *Driver) Close() error {
	d.pool.close()
	d.later.Wait()
	return nil
}

// Remove takes the bridge and the table away. It is for a host that shall be left as it was found, after the last Detach.
func (d *Driver) Remove(context.Context) error {
	if err := d.Close(); err != nil {
		return err
	}
	h, err := newHands()
	if err != nil {
		return err
	}
	defer h.close()
	link, err := h.link(d.cfg.Bridge)
	if err == nil {
		err = h.host.LinkDel(link)
	}
	if isGone(err) {
		err = nil
	}
	return errors.Join(err, firewall{}.remove())
}

// Attach gives a container its endpoint. Either all of it is there afterwards or nothing.
func (d *Driver) Attach(_ context.Context, r Request) (*Endpoint, error) {
	if !goodID.MatchString(r.ContainerID) {
		return nil, fmt.Errorf("container id %q: %w", r.ContainerID, ErrInvalid)
	}
	e := newEndpoint(r)
	switch r.Mode {
	case ModeHost:
		e.NetnsPath = ""
		return e, nil
	case ModeNone:
		e.NetnsPath = filepath.Join(d.cfg.NetnsDir, pinName(e))
		return e, d.attachNone(e)
	case ModeBridge:
		if d.lack != nil {
			return nil, d.lack
		}
		e.NetnsPath = filepath.Join(d.cfg.NetnsDir, pinName(e))
		return d.attachBridge(r, e)
	}
	return nil, fmt.Errorf("network mode %q: %w", r.Mode, ErrInvalid)
}

var goodID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// pinName is unlike every earlier one of this container, so that a late unmount never meets a new namespace.
func pinName(e *Endpoint) string {
	return e.ContainerID[:min(12, len(e.ContainerID))] + "-" + e.EndpointID[:6]
}

func newID() string {
	var id [32]byte
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails (its documentation)
	return hex.EncodeToString(id[:])
}

func newEndpoint(r Request) *Endpoint {
	e := &Endpoint{ContainerID: r.ContainerID, Name: r.Name, Mode: r.Mode, EndpointID: newID(), NetworkID: string(r.Mode)}
	for _, name := range []string{r.Name, r.ContainerID[:min(12, len(r.ContainerID))], r.Hostname} {
		if name != "" && !slices.Contains(e.DNSNames, name) {
			e.DNSNames = append(e.DNSNames, name)
		}
	}
	return e
}

func (d *Driver) attachNone(e *Endpoint) error {
	h, err := newHands()
	if err != nil {
		return err
	}
	defer h.close()
	return h.carryOut(append(PlanNamespace(), Step{Host, Pin{e.NetnsPath}, "it has no process yet"}))
}

func (d *Driver) attachBridge(r Request, e *Endpoint) (_ *Endpoint, err error) {
	var ports binder
	defer ports.close()
	if err := d.allocate(r, e, &ports); err != nil {
		return nil, err
	}
	undo := func(err error) (*Endpoint, error) {
		return nil, errors.Join(err, d.Detach(context.Background(), e))
	}
	warm, err := d.pool.take()
	if err != nil {
		return undo(err)
	}
	defer warm.hands.close()
	e.Link = warm.link
	plan, err := PlanEndpoint(e)
	if err != nil {
		return undo(err)
	}
	published := make(chan error, 1) // the firewall's wait and the links' go side by side
	go func() { published <- d.publish(e) }()
	err = warm.hands.carryOut(plan)
	if err = errors.Join(err, <-published); err != nil {
		return undo(err)
	}
	return e, nil
}

// allocate decides address and ports, all or nothing.
func (d *Driver) allocate(r Request, e *Endpoint, bind *binder) error {
	host, err := readHostPorts(d.cfg.ProxyPath != "")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.live[r.ContainerID]; old != nil {
		return fmt.Errorf("container %s has endpoint %s: %w", r.ContainerID, old.EndpointID, ErrInvalid)
	}
	addr, err := d.addrs.take(r.IPv4, e.EndpointID)
	if err != nil {
		return err
	}
	bind.container = addr
	if e.Ports, err = d.ports.take(r.ContainerID, r.Ports, host, bind.try); err != nil {
		d.addrs.release(addr, e.EndpointID)
		return fmt.Errorf("driver failed programming external connectivity on endpoint %s (%s): %w", r.Name, e.EndpointID, err) // Docker's words
	}
	e.IPv4, e.Gateway = netip.PrefixFrom(addr, d.cfg.Subnet.Bits()), d.cfg.Gateway
	e.MAC = r.MAC.String()
	if len(r.MAC) == 0 {
		e.MAC = macFor(addr).String()
	}
	d.live[r.ContainerID] = e
	return nil
}

// publish adds the ports to the maps. A table that somebody flushed is put back whole.
func (d *Driver) publish(e *Endpoint) error {
	if len(PortElements(e)) == 0 {
		return nil
	}
	d.nft.Lock()
	defer d.nft.Unlock()
	err := firewall{}.add(e)
	if errors.Is(err, unix.ENOENT) {
		err = firewall{}.replace(PlanRules(d.cfg, d.endpoints()))
	}
	forgetFlows(e)
	return err
}

// withdraw takes the ports of an endpoint, which is no longer among the living, out of the maps.
func (d *Driver) withdraw(e *Endpoint) error {
	if len(PortElements(e)) == 0 {
		return nil
	}
	d.nft.Lock()
	defer d.nft.Unlock()
	err := firewall{}.del(e)
	if errors.Is(err, unix.ENOENT) {
		err = firewall{}.replace(PlanRules(d.cfg, d.endpoints()))
	}
	forgetFlows(e)
	return err
}

// endpoints are the living ones in the order of their addresses.
func (d *Driver) endpoints() []*Endpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*Endpoint, 0, len(d.live))
	for _, e := range d.live {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *Endpoint) int { return a.IPv4.Addr().Compare(b.IPv4.Addr()) })
	return list
}

// Detach takes an endpoint away; twice is as good as once. Its ports are free when Detach returns, its address when the
// kernel has let go of the link, which Detach does not wait for.
func (d *Driver) Detach(_ context.Context, e *Endpoint) error {
	if e.Mode == ModeHost {
		return nil
	}
	d.mu.Lock()
	mine := d.live[e.ContainerID]
	mineToo := mine != nil && mine.EndpointID == e.EndpointID
	if mineToo {
		delete(d.live, e.ContainerID)
	}
	d.mu.Unlock()
	var err error
	if mineToo { // nobody else's port is withdrawn by a late second Detach
		err = d.withdraw(e)
		d.mu.Lock()
		d.ports.release(e.ContainerID)
		d.mu.Unlock()
	}
	err = errors.Join(err, unpin(e.NetnsPath))
	d.later.Go(func() {
		d.awaitLinkGone(e.Link)
		d.mu.Lock()
		defer d.mu.Unlock()
		if e.IPv4.IsValid() {
			d.addrs.release(e.IPv4.Addr(), e.EndpointID)
		}
	})
	return err
}

// unpin lets go of a namespace. Once no process and no descriptor holds it either, the kernel takes it apart.
func unpin(path string) error {
	if path == "" {
		return nil
	}
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // EINVAL: no mount there
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// awaitLinkGone gives the kernel 2 s to take the veth along with its namespace, which is cheaper than deleting it, and
// deletes it when something still holds the namespace.
func (d *Driver) awaitLinkGone(name string) {
	if name == "" {
		return
	}
	h, err := newHands()
	if err != nil {
		return // Reconcile sweeps it
	}
	defer h.close()
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		if _, err := h.link(name); isGone(err) {
			return
		}
		time.Sleep(wait)
	}
	if link, err := h.link(name); err == nil {
		_ = h.host.LinkDel(link) // as above
	}
}

// isGone tells that there is no such link.
func isGone(err error) bool {
	_, notFound := errors.AsType[netlink.LinkNotFoundError](err)
	return notFound || errors.Is(err, unix.ENODEV)
}

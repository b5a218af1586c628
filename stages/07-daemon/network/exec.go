package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// hands carry out one plan: sockets into the two network namespaces that its steps act in.
type hands struct {
	host   *netlink.Handle
	inside *netlink.Handle
	ns     *os.File // the namespace of the Inside steps
	side   Side     // of the step being done
}

func newHands() (*hands, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &hands{host: h}, nil
}

// close lets go of the namespace: one that is not pinned dies with it.
func (h *hands) close() {
	if h.inside != nil {
		h.inside.Close()
	}
	if h.ns != nil {
		_ = h.ns.Close()
	}
	h.host.Close()
}

// carryOut does the steps in order and stops at the first that cannot be done.
func (h *hands) carryOut(p Plan) error {
	for _, s := range p {
		h.side = s.Side
		if err := s.Op.do(h); err != nil {
			return fmt.Errorf("%s: %w", s.Op, err)
		}
	}
	return nil
}

// rt is the routing socket of the step's side.
func (h *hands) rt() *netlink.Handle {
	if h.side == Inside {
		return h.inside
	}
	return h.host
}

func (h *hands) link(name string) (netlink.Link, error) { return h.rt().LinkByName(name) }

func (NewNamespace) do(h *hands) error {
	err := onOwnThread(func() (err error) {
		h.ns, err = unshareNet()
		return err
	})
	if err != nil {
		return err
	}
	h.inside, err = netlink.NewHandleAt(netns.NsHandle(h.ns.Fd()), unix.NETLINK_ROUTE)
	return err
}

func (o Pin) do(h *hands) error {
	f, err := os.OpenFile(o.Path, os.O_CREATE|os.O_EXCL|os.O_RDONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	undo := errors.Join(f.Close())
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", h.ns.Fd()), o.Path, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(err, undo, os.Remove(o.Path))
	}
	return undo
}

// do writes below /proc/sys/net, which shows the namespace of the thread that opens it. A kernel without IPv6 has no such
// files, and nothing to switch off.
func (o Sysctl) do(h *hands) error {
	write := func() error {
		path := filepath.Join("/proc/sys", o.Key)
		if now, err := os.ReadFile(path); err == nil && string(now) == o.Value+"\n" {
			return nil // already so: a read-only /proc/sys is then no obstacle
		}
		err := os.WriteFile(path, []byte(o.Value), 0)
		if _, gone := os.Stat("/proc/sys/net/ipv6"); errors.Is(err, os.ErrNotExist) && gone != nil {
			return nil
		}
		return err
	}
	if h.side == Host {
		return write()
	}
	return onOwnThread(func() error { return insideNet(h.ns, write) })
}

func (o AddBridge) do(h *hands) error {
	err := h.rt().LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: o.Name, MTU: o.MTU, TxQLen: -1}})
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	old, err := h.link(o.Name)
	if err == nil && old.Type() != "bridge" {
		return fmt.Errorf("%s is a %s: %w", o.Name, old.Type(), unix.EEXIST)
	}
	return err
}

func (o AddVeth) do(h *hands) error {
	bridge, err := h.link(o.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", o.Bridge, err)
	}
	return h.rt().LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{
			Name: o.Name, MTU: o.MTU, TxQLen: -1, MasterIndex: bridge.Attrs().Index, Flags: net.FlagUp,
		},
		PeerName: o.Peer, PeerMTU: uint32(o.MTU), PeerNamespace: netlink.NsFd(h.ns.Fd()),
	})
}

func (o SetAlias) do(h *hands) error {
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	return h.rt().LinkSetAlias(link, o.Alias)
}

func (o SetMAC) do(h *hands) error {
	mac, err := net.ParseMAC(o.MAC)
	if err != nil {
		return err
	}
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	return h.rt().LinkSetHardwareAddr(link, mac)
}

func (o SetHairpin) do(h *hands) error {
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	return h.rt().LinkSetHairpin(link, true)
}

func (o SetUp) do(h *hands) error {
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	return h.rt().LinkSetUp(link)
}

func (o AddAddress) do(h *hands) error {
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	ipnet := &net.IPNet{IP: o.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(o.Prefix.Bits(), o.Prefix.Addr().BitLen())}
	err = h.rt().AddrAdd(link, &netlink.Addr{IPNet: ipnet})
	if h.side == Host && errors.Is(err, unix.EEXIST) {
		return nil // the bridge that we adopt has it
	}
	return err
}

func (o AddDefault) do(h *hands) error {
	link, err := h.link(o.Link)
	if err != nil {
		return err
	}
	return h.rt().RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: o.Gateway.AsSlice()})
}

// onOwnThread runs fn on a thread that is not the process's first one: what /proc/self shows (its ns/net, its view of
// /proc/sys) is the first thread's, and must not flicker while we are elsewhere.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	var finished sync.WaitGroup
	elsewhere := func() {
		runtime.LockOSThread() // and never unlocked: Go ends the thread, in whatever namespace it is
		done <- fn()
	}
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			elsewhere()
			return
		}
		defer runtime.UnlockOSThread()
		finished.Go(elsewhere) // while this goroutine holds the first thread, that one runs on another
		finished.Wait()
	}()
	return <-done
}

// unshareNet makes a network namespace and leaves the calling thread in it.
func unshareNet() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	return os.Open("/proc/thread-self/ns/net")
}

// insideNet runs fn with the calling thread in ns.
func insideNet(ns *os.File, fn func() error) error {
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns %s: %w", ns.Name(), err)
	}
	return fn()
}

// dump asks the kernel for a list again while the list changed during the asking (NLM_F_DUMP_INTR, netlink(7)).
func dump[T any](ask func() ([]T, error)) ([]T, error) {
	for range 20 {
		list, err := ask()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return ask()
}

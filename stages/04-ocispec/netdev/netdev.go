// Package netdev moves network devices of the host into a container's network namespace (runtime-spec config-linux.md, "Network
// Devices"): with their permanent addresses of global scope, under another name if wanted, and brings them up there. The kernel
// keeps hardware address and MTU by itself. Nothing brings a device back: that is the business of who gave it away.
package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// address is one of a device's, as RTM_NEWADDR takes it.
type address struct {
	family, prefix, scope byte
	flags                 uint32
	attributes            map[uint16][]byte
}

// ifaProto is IFA_PROTO of linux/if_addr.h: who has set the address.
const ifaProto = 11

// kept are the attributes of an address that go with it.
func kept() []uint16 {
	return []uint16{unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_BROADCAST, unix.IFA_RT_PRIORITY, ifaProto}
}

// CheckName refuses what the kernel would not take as a device's name (dev_valid_name in net/core/dev.c).
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a network device", name)
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("%q has more than %d characters", name, unix.IFNAMSIZ-1)
	case strings.ContainsAny(name, "/: \t\n\v\f\r\x00"):
		return fmt.Errorf("%q: a name of a network device has no slash, colon or space", name)
	}
	return nil
}

// Move takes a device from the calling thread's network namespace to ns, an open /proc/PID/ns/net, and names it as there.
//
// It must be called from a thread that is locked to its goroutine. left says that the thread did not find back to its own
// namespace and must not be used any more.
func Move(name, as string, ns *os.File) (left bool, err error) {
	here, err := open()
	if err != nil {
		return false, err
	}
	defer here.close()
	index, err := here.find(name)
	if err != nil {
		return false, err
	}
	list, err := here.addresses(index)
	if err != nil {
		return false, fmt.Errorf("addresses: %w", err)
	}
	there, left, err := openIn(ns)
	if err != nil {
		return left, err
	}
	defer there.close()
	if _, err := there.find(as); err == nil { // the kernel moves first and renames then: too late to stay
		return left, fmt.Errorf("%s in the container: %w", as, unix.EEXIST)
	}
	if err := here.give(index, as, ns); err != nil {
		return left, err
	}
	return left, there.settle(as, list)
}

// find asks for a device's index by its name.
func (s socket) find(name string) (index int32, err error) {
	r := request{kind: unix.RTM_GETLINK, body: make([]byte, unix.SizeofIfInfomsg)}
	r.attribute(unix.IFLA_IFNAME, append([]byte(name), 0))
	list, err := s.ask(r)
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		if m.kind == unix.RTM_NEWLINK && len(m.body) >= unix.SizeofIfInfomsg {
			return int32(binary.NativeEndian.Uint32(m.body[4:])), nil
		}
	}
	return 0, unix.ENODEV
}

// addresses lists the permanent ones of global scope: others belong to the network that the device leaves.
func (s socket) addresses(index int32) ([]address, error) {
	list, err := s.ask(request{kind: unix.RTM_GETADDR, flags: unix.NLM_F_DUMP, body: make([]byte, unix.SizeofIfAddrmsg)})
	if err != nil {
		return nil, err
	}
	var found []address
	for _, m := range list {
		if m.kind != unix.RTM_NEWADDR || len(m.body) < unix.SizeofIfAddrmsg || int32(binary.NativeEndian.Uint32(m.body[4:])) != index {
			continue
		}
		a := address{m.body[0], m.body[1], m.body[3], uint32(m.body[2]), m.attributes(unix.SizeofIfAddrmsg)}
		if wide := a.attributes[unix.IFA_FLAGS]; len(wide) == 4 {
			a.flags = binary.NativeEndian.Uint32(wide)
		}
		if a.flags&unix.IFA_F_PERMANENT != 0 && a.scope == unix.RT_SCOPE_UNIVERSE {
			found = append(found, a)
		}
	}
	return found, nil
}

// up brings a device up.
func (s socket) up(index int32) error {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)
	_, err := s.ask(request{kind: unix.RTM_NEWLINK, body: body})
	return err
}

// give moves and renames in one request. The kernel brings the device down itself, once it knows that it can move (net/core/dev.c,
// dev_change_net_namespace): one that cannot, such as lo, keeps its routes.
func (s socket) give(index int32, as string, ns *os.File) error {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	r := request{kind: unix.RTM_NEWLINK, body: body}
	r.attribute(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(ns.Fd())))
	r.attribute(unix.IFLA_IFNAME, append([]byte(as), 0))
	_, err := s.ask(r)
	return err
}

// settle gives the device its addresses again and brings it up. Its index may be another one here.
func (s socket) settle(name string, list []address) error {
	index, err := s.find(name)
	if err != nil {
		return fmt.Errorf("find %s in the container: %w", name, err)
	}
	for _, a := range list {
		body := []byte{a.family, a.prefix, 0, a.scope}
		body = binary.NativeEndian.AppendUint32(body, uint32(index))
		r := request{kind: unix.RTM_NEWADDR, flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, body: body}
		for _, kind := range kept() {
			if data, ok := a.attributes[kind]; ok {
				r.attribute(kind, data)
			}
		}
		r.attribute(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, a.flags&(unix.IFA_F_PERMANENT|unix.IFA_F_NOPREFIXROUTE|unix.IFA_F_NODAD)))
		if _, err := s.ask(r); err != nil && err != unix.EEXIST {
			return fmt.Errorf("give %s its address again: %w", name, err)
		}
	}
	if err := s.up(index); err != nil {
		return fmt.Errorf("bring up %s in the container: %w", name, err)
	}
	return nil
}

// openIn makes a socket in another namespace: it belongs to the one that the thread is in at that moment.
func openIn(ns *os.File) (s socket, left bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return -1, false, err
	}
	defer own.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return -1, false, fmt.Errorf("join the container's network namespace: %w", err)
	}
	s, err = open()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		return s, true, errors.Join(err, fmt.Errorf("return to our network namespace: %w", back))
	}
	return s, false, err
}

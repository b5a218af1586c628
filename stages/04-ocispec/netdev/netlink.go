package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// request is a message to the kernel (netlink(7), rtnetlink(7)): struct nlmsghdr, a struct of its kind, then attributes.
type request struct {
	kind  uint16
	flags uint16
	body  []byte
}

// attribute appends a struct rtattr {u16 length, type} and its data, padded to four bytes.
func (r *request) attribute(kind uint16, data []byte) {
	r.body = binary.NativeEndian.AppendUint16(r.body, uint16(unix.SizeofRtAttr+len(data)))
	r.body = binary.NativeEndian.AppendUint16(r.body, kind)
	r.body = append(r.body, data...)
	for len(r.body)%4 != 0 {
		r.body = append(r.body, 0)
	}
}

func (r *request) bytes() []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, r.flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, 1) // sequence number: one request at a time
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, r.body...)
}

// message is an answer: what follows struct nlmsghdr.
type message struct {
	kind uint16
	body []byte
}

// socket speaks rtnetlink in the network namespace of the thread that made it.
type socket int

// answerTime bounds how long the kernel may take to answer, in seconds: it does so before the request returns.
const answerTime = 10

func open() (socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("netlink socket: %w", err)
	}
	limit := unix.Timeval{Sec: answerTime}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return socket(fd), nil
}

func (s socket) close() error { return unix.Close(int(s)) }

// ask sends a request and collects the answers up to the acknowledgement, or to the end of a dump.
func (s socket) ask(r request) ([]message, error) {
	if r.flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP {
		r.flags |= unix.NLM_F_ACK
	}
	if err := unix.Sendto(int(s), r.bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var list []message
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(int(s), buf, 0)
		if err == unix.EINTR {
			continue
		} else if err != nil {
			return nil, err
		}
		more, done, err := split(buf[:n])
		list = append(list, more...)
		if done || err != nil {
			return list, err
		}
	}
}

var errShort = errors.New("a netlink message that is shorter than it says")

// split takes a datagram apart.
func split(b []byte) (list []message, done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		size, kind := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return list, true, errShort
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch kind {
		case unix.NLMSG_DONE:
			return list, true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return list, true, errShort
			}
			if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
				return list, true, unix.Errno(errno)
			}
			return list, true, nil
		}
		list = append(list, message{kind, slices.Clone(body)})
		b = b[min((size+3)&^3, len(b)):]
	}
	return list, false, nil
}

// attributes reads those behind a struct of size bytes.
func (m message) attributes(size int) map[uint16][]byte {
	list := map[uint16][]byte{}
	if len(m.body) < size {
		return list
	}
	for b := m.body[size:]; len(b) >= unix.SizeofRtAttr; {
		n, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		list[kind&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = b[unix.SizeofRtAttr:n]
		b = b[min((n+3)&^3, len(b)):]
	}
	return list
}

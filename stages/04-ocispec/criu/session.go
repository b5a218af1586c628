package criu

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxMessage bounds a response; criu's are some dozens of bytes.
const maxMessage = 64 << 10

// Error is a request that criu has refused or could not fulfil. Its log says more.
type Error struct {
	Type    Type
	Errno   int
	Message string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("criu failed: type %s errno %d", e.Type, e.Errno)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap gives the errno, when criu has named one.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return unix.Errno(e.Errno)
}

// Socket makes the pair over which a session speaks: ours and the one that "criu swrk" gets by number.
func Socket() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "criu"), os.NewFile(uintptr(pair[1]), "criu"), nil
}

// Do sends a request and returns the response to it. In between criu announces moments of its work: notify is called for each,
// with a descriptor when one came along, which belongs to notify; its error ends the conversation.
func Do(socket *os.File, r *Request, notify func(*Response, *os.File) error) (*Response, error) {
	if err := send(socket, r); err != nil {
		return nil, err
	}
	for {
		resp, file, err := receive(socket)
		switch {
		case err != nil:
			return nil, err
		case !resp.Success:
			return nil, errors.Join(&Error{resp.Type, resp.Errno, resp.Message}, closeFile(file))
		case resp.Type == r.Type:
			return resp, closeFile(file)
		case resp.Type != Notify || notify == nil:
			return nil, errors.Join(fmt.Errorf("criu: a response of type %s to a request of type %s", resp.Type, r.Type), closeFile(file))
		}
		if err := notify(resp, file); err != nil {
			return nil, fmt.Errorf("criu at %s: %w", resp.Script, err)
		}
		if err := send(socket, &Request{Type: Notify, NotifySuccess: true}); err != nil {
			return nil, err
		}
	}
}

func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func send(socket *os.File, r *Request) error {
	if err := unix.Send(int(socket.Fd()), r.Marshal(), unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("send to criu: %w", err)
	}
	return nil
}

// receive reads one packet, and a descriptor that may come with it.
func receive(socket *os.File) (*Response, *os.File, error) {
	data, control := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, cn, flags, _, err := unix.Recvmsg(int(socket.Fd()), data, control, unix.MSG_CMSG_CLOEXEC)
	for err == unix.EINTR {
		n, cn, flags, _, err = unix.Recvmsg(int(socket.Fd()), data, control, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("hear from criu: %w", err)
	}
	file := passed(control[:cn])
	if n == 0 {
		return nil, nil, errors.Join(errors.New("criu has ended without an answer"), closeFile(file))
	}
	if flags&unix.MSG_TRUNC != 0 {
		return nil, nil, errors.Join(fmt.Errorf("criu: a message of more than %d bytes", maxMessage), closeFile(file))
	}
	r, err := Unmarshal(data[:n])
	if err != nil {
		return nil, nil, errors.Join(err, closeFile(file))
	}
	return r, file, nil
}

// passed is the first descriptor of a control message (unix(7), SCM_RIGHTS).
func passed(control []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	for _, fd := range fds[1:] {
		_ = unix.Close(fd)
	}
	return os.NewFile(uintptr(fds[0]), "passed by criu")
}

package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// giveListener gives the seccomp listener of a process to the agent that the profile names, with the container process's state
// (runtime-spec config-linux.md, "The Container Process State").
func giveListener(profile *specs.LinuxSeccomp, st specs.State, pid, listener int) error {
	text, err := json.Marshal(specs.ContainerProcessState{
		Version: specs.Version, Fds: []string{specs.SeccompFdName}, Pid: pid, Metadata: profile.ListenerMetadata, State: st,
	})
	if err != nil {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: profile.ListenerPath, Net: "unix"})
	if err != nil {
		return fmt.Errorf("failed to connect with seccomp agent specified in the seccomp profile: %w", err)
	}
	defer conn.Close()
	if _, _, err := conn.WriteMsgUnix(text, unix.UnixRights(listener), nil); err != nil {
		return fmt.Errorf("send the seccomp listener to %s: %w", profile.ListenerPath, err)
	}
	return nil
}

// fetch takes a descriptor from a process (pidfd_getfd(2)). The kernel allows it to whoever may trace the process.
func fetch(pidfd *os.File, number uintptr) (int, error) {
	fd, err := unix.PidfdGetfd(int(pidfd.Fd()), int(number), 0)
	if err != nil {
		return -1, fmt.Errorf("fetch the seccomp listener: %w", err)
	}
	return fd, nil
}

// mail is the parent's end of a socket over which a child sends its listener.
type mail struct{ file *os.File }

func (m *mail) open(r *launch.Run, slot launch.Slot) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	m.file = os.NewFile(uintptr(pair[0]), "mail")
	r.Hold(slot, os.NewFile(uintptr(pair[1]), "mail"))
	return nil
}

func (m *mail) close() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file = nil
	return f.Close()
}

// receive takes what the child has sent before it came to its turn.
func (m *mail) receive() (int, error) {
	_, fd, err := readGift(int(m.file.Fd()), make([]byte, 8))
	if err == nil && fd < 0 {
		err = errors.New("it has sent none")
	}
	if err != nil {
		return -1, fmt.Errorf("receive the seccomp listener: %w", err)
	}
	return fd, nil
}

// listenerStep is the parent's step of an exec. The listener comes by mail, if there is any.
func (c *Container) listenerStep(s *specs.Spec, st specs.State, m *mail) func(*launch.Run, launch.Slot) error {
	return func(r *launch.Run, slot launch.Slot) (err error) {
		var fd int
		if m.file != nil {
			fd, err = m.receive()
			err = errors.Join(err, m.close())
		} else {
			fd, err = fetch(r.PIDFD(), r.Slot(slot))
		}
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return giveListener(s.Linux.Seccomp, st, r.PID(), fd)
	}
}

// serveListener is the same for the child behind the start gate: it says the number over the gate, with the descriptor if we could
// not fetch it, and waits for the answer.
func (c *Container) serveListener(gate int, number uintptr, sent int) error {
	s, err := c.dir.Config()
	if err != nil {
		return err
	}
	if sent < 0 {
		pidfd, err := c.Process.PIDFD()
		if err != nil {
			return err
		}
		defer pidfd.Close()
		if sent, err = fetch(pidfd, number); err != nil {
			return err
		}
	}
	defer unix.Close(sent)
	if err := giveListener(s.Linux.Seccomp, c.ociState("created", c.Process.PID), c.Process.PID, sent); err != nil {
		return err
	}
	_, err = unix.Write(gate, []byte{1})
	return err
}

// readGift reads a message, and the descriptor that may have come with it; -1: none has.
func readGift(socket int, buf []byte) (n, fd int, err error) {
	control := make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := unix.Recvmsg(socket, buf, control, unix.MSG_CMSG_CLOEXEC)
	for err == unix.EINTR {
		n, m, _, _, err = unix.Recvmsg(socket, buf, control, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil || m == 0 {
		return n, -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:m])
	if err != nil || len(messages) != 1 {
		return n, -1, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return n, -1, err
	}
	return n, fds[0], nil
}

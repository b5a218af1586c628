package runtime

import (
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// giveListener fetches the seccomp listener from a process and gives it to the agent that the profile names, with the container
// process's state (runtime-spec config-linux.md, "The Container Process State").
//
// st is the container's state. number is the descriptor in the process that pidfd refers to (pidfd_getfd(2)).
func giveListener(profile *specs.LinuxSeccomp, st specs.State, pid int, pidfd *os.File, number uintptr) error {
	fd, err := unix.PidfdGetfd(int(pidfd.Fd()), int(number), 0)
	if err != nil {
		return fmt.Errorf("fetch the seccomp listener: %w", err)
	}
	defer unix.Close(fd)
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
	if _, _, err := conn.WriteMsgUnix(text, unix.UnixRights(fd), nil); err != nil {
		return fmt.Errorf("send the seccomp listener to %s: %w", profile.ListenerPath, err)
	}
	return nil
}

// listenerStep is the parent's step of an exec.
func (c *Container) listenerStep(s *specs.Spec, st specs.State) func(*launch.Run, launch.Slot) error {
	return func(r *launch.Run, slot launch.Slot) error {
		return giveListener(s.Linux.Seccomp, st, r.PID(), r.PIDFD(), r.Slot(slot))
	}
}

// serveListener is the same for the child behind the start gate: it says the number over the gate and waits for the answer.
func (c *Container) serveListener(gate int, number uintptr) error {
	s, err := c.dir.Config()
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(c.Process.PID, 0)
	if err != nil {
		return err
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	defer pidfd.Close()
	if err := giveListener(s.Linux.Seccomp, c.ociState("created", c.Process.PID), c.Process.PID, pidfd, number); err != nil {
		return err
	}
	_, err = unix.Write(gate, []byte{1})
	return err
}

package plan

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

// filter lists how the seccomp profile is loaded; nothing without one. A profile with SCMP_ACT_NOTIFY makes a listener, a
// descriptor of the child's, which the parent fetches and gives to the agent; until that is done the child waits. It is the
// one thing that happens behind the filter, and needs write(2) and read(2) of it (so no profile may notify about write).
func (c *compiler) filter() ([]launch.Step, error) {
	if c.spec.Linux == nil || c.spec.Linux.Seccomp == nil {
		return nil, nil
	}
	profile := c.spec.Linux.Seccomp
	program, err := seccomp.Compile(profile, c.facts.Arch)
	if err != nil {
		return nil, fmt.Errorf("linux.seccomp: %w", err)
	}
	head := launch.Buf(16) // struct sock_fprog: u16 len, pointer
	binary.NativeEndian.PutUint16(head.Data, uint16(len(program.Filter)))
	head.Ptr = map[int]*launch.Mem{8: {Data: program.Bytes()}}
	load := launch.Call(unix.SYS_SECCOMP, launch.Int(unix.SECCOMP_SET_MODE_FILTER), launch.Int(program.Flags), head)
	listener := launch.Slot(0)
	if seccomp.Notifies(profile) {
		if c.facts.Rootless && seccomp.Notifies(profile, "sendmsg") {
			return nil, errors.New("linux.seccomp: SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall by an ordinary user: it takes the listener to the agent")
		}
		listener = c.slots.Take()
		load = load.Into(listener)
	}
	steps := []launch.Step{child(fmt.Sprintf("load the seccomp filter (%d instructions)", len(program.Filter)), "seccomp(2); as late as can be, so that it need not allow what setup does", load)}
	if listener != 0 {
		steps = append(steps, c.giveListener(listener)...)
	}
	c.plan.Notes = append(c.plan.Notes, fmt.Sprintf("seccomp filter flags: %d", program.Flags))
	return steps, nil
}

// giveListener passes the listener on: to the parent while it listens, behind the start gate to whoever has opened it.
func (c *compiler) giveListener(listener launch.Slot) []launch.Step {
	name := "give the seccomp listener to the agent at " + c.spec.Linux.Seccomp.ListenerPath
	because := "config-linux.md, seccomp, listenerPath; seccomp_unotify(2): the agent decides, so it must be there before the first call"
	switch {
	case c.gate != 0 && c.facts.Rootless:
		return []launch.Step{child(name, because, launch.HandOver(c.conn, listener)...)}
	case c.gate != 0:
		return []launch.Step{child(name, because, launch.GiveOver(c.conn, listener)...)}
	}
	step := parent(name, because, func(r *launch.Run) error { return c.acts.Listener(r, listener) })
	step.Gives = listener
	if !c.facts.Rootless {
		return []launch.Step{step}
	}
	c.mail = c.slots.Take()
	return []launch.Step{child("send the seccomp listener", "pidfd_getfd(2): an ordinary user may not fetch it from a process that is undumpable", launch.SendDescriptor(c.mail, listener)...), step}
}

// openMail makes the socket over which an ordinary user's listener comes, if there is one.
func (c *compiler) openMail() []launch.Step {
	if c.mail == 0 {
		return nil
	}
	step := parent("open a socket for the seccomp listener", "unix(7), SCM_RIGHTS", func(r *launch.Run) error { return c.acts.OpenMail(r, c.mail) })
	step.Undo = c.acts.CloseMail
	return []launch.Step{step}
}

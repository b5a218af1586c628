package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// CompileExec lists the steps that start one more process in a running container. s is the container's configuration with its
// Process replaced by the new one: the seccomp profile of the container holds for it too.
func CompileExec(s *specs.Spec, facts Facts, req Request, acts Acts) (*Plan, error) {
	c := &compiler{spec: s, proc: s.Process, facts: facts, req: req, acts: acts, joining: true, plan: &Plan{Plan: &launch.Plan{}}}
	c.conn = c.slots.Take()
	if c.labelled() {
		c.label = c.slots.Take()
	}
	identity, err := c.identity()
	if err != nil {
		return nil, err
	}
	c.add(c.enterContainer()...)
	c.add(c.personality()...)
	c.add(c.schedule()...)
	if c.proc.Terminal && req.ConsoleSocket {
		c.add(c.terminal()...)
		c.add(c.attach()...)
	} else {
		c.add(c.ownStreams()...)
	}
	c.add(c.shut(), c.chdir(), c.findProgram())
	c.add(c.limits()...)
	c.add(identity...)
	c.add(c.exec())
	return c.plan, nil
}

// enterContainer makes a child that is a member of the container's groups and namespaces. It keeps the descriptors that are needed there.
func (c *compiler) enterContainer(needed ...launch.Slot) []launch.Step {
	target := c.slots.Take()
	steps := []launch.Step{parent("open the container's process", "pidfd_open(2): a pid could be somebody else's by now",
		func(r *launch.Run) error { return c.acts.OpenTarget(r, target) })}
	if c.facts.Cgroup.Born {
		c.cgroup = c.slots.Take()
		steps = append(steps, parent("open the cgroup", "clone3(2), CLONE_INTO_CGROUP", func(r *launch.Run) error { return c.acts.OpenCgroup(r, c.cgroup) }))
	}
	steps = append(append(steps, c.openJoinFiles()...), c.openMail()...)
	if c.proc.Terminal && c.req.ConsoleSocket {
		c.socket = c.slots.Take()
		steps = append(steps, parent("connect to the console socket", "the terminal's master will be sent there", func(r *launch.Run) error { return c.acts.ConsoleSocket(r, c.socket) }))
	}
	steps = append(steps, c.firstAffinity()...)
	steps = append(steps, launch.Step{Name: "clone3", Because: "a child without memory of ours to share; it will join the namespaces itself", Clone: &launch.Clone{Cgroup: c.cgroup}})
	steps = append(steps, c.joinCgroup()...)
	steps = append(append(steps, c.oomScore()...), notDumpable())
	steps = append(steps, c.labelKeys()...)
	if c.label != 0 {
		steps = append(steps, c.openLabel())
	}
	if step, ok := c.joinAll(target); ok {
		steps = append(steps, step)
	}
	if slices.Contains(c.facts.Join, specs.UserNamespace) {
		steps = append(steps, launch.BecomeRoot())
	}
	if c.facts.JoinsPIDInside(c.proc) {
		if c.socket != 0 {
			needed = append(needed, c.socket)
		}
		for _, s := range []launch.Slot{c.label, c.mail} {
			if s != 0 {
				needed = append(needed, s)
			}
		}
		steps = append(steps, launch.KeepOnly(3+c.req.PreserveFDs, "nothing of the host is open when those inside see the process (CVE-2016-9962)", needed...))
		steps = append(steps, launch.Below(0, "inside", "pid_namespaces(7): nobody moves into one, but children are born there; clone(2), CLONE_PARENT: still our child"))
	}
	steps = append(steps, newSession(), defaultActions())
	if !c.req.NoNewKeyring {
		steps = append(steps, keyring("the container's", c.req.ID))
	}
	return steps
}

// joinAll joins every namespace in which the container is not where we are, in one call. The pid namespace is among them unless
// the thread that clones has joined it (OpenTarget, JoinsPIDInside).
func (c *compiler) joinAll(target launch.Slot) (launch.Step, bool) {
	flags, names := uintptr(0), []string{}
	for _, kind := range c.facts.Join {
		if kind != specs.PIDNamespace || c.facts.JoinsPIDInside(c.proc) {
			flags |= flag(kind)
			names = append(names, string(kind))
		}
	}
	return launch.Setns(target, flags, fmt.Sprintf("the container's %s namespaces", strings.Join(names, " "))), flags != 0
}

// terminal makes a terminal in the container's devpts, now as one of its processes.
func (c *compiler) terminal() []launch.Step {
	root := c.slots.Take()
	slots := enter.ConsoleSlots{Master: c.slots.Take(), Terminal: c.slots.Take()}
	console := enter.Console{Socket: c.socket, UID: c.proc.User.UID}
	if box := c.proc.ConsoleSize; box != nil {
		console.Rows, console.Columns = uint16(box.Height), uint16(box.Width)
	}
	code := []launch.Instr{launch.Call(unix.SYS_OPENAT, atCwd, launch.Str("/"), launch.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Into(root)}
	return []launch.Step{
		child("make a terminal in the container's /dev/pts", "pts(4); the multiplexer is verified (CVE-2025-52565)", append(code, enter.OpenTerminal(root, slots, console)...)...),
		enter.SendMaster(slots, console),
	}
}

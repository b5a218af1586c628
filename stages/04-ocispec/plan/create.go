package plan

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// Plan is a compiled configuration.
type Plan struct {
	*launch.Plan
	Gate     int // index of the first step behind the start gate; 0 without one
	Warnings []string
	Notes    []string // for whoever debugs: numbers that stand in no step's name
}

// Late names the steps behind the start gate: start reports a failure there by its index.
func (p *Plan) Late() map[int]string {
	late := map[int]string{}
	for i := p.Gate; i < len(p.Steps) && p.Gate > 0; i++ {
		late[i] = p.Steps[i].Name
	}
	return late
}

// compiler holds what the parts of one compilation share.
type compiler struct {
	spec  *specs.Spec
	proc  *specs.Process
	facts Facts
	req   Request
	acts  Acts

	slots                      enter.Slots
	signals, mask              *launch.Mem // held back until start, and what was before
	gate, conn, cgroup, socket launch.Slot
	label                      launch.Slot   // /proc/self/attr/exec
	mail                       launch.Slot   // exec by an ordinary user: where the seccomp listener is sent
	files                      []launch.Slot // v1: what the child writes itself into
	joining                    bool          // exec: all namespaces are there already
	root                       *enter.Root
	plan                       *Plan
}

// Compile turns a valid configuration into the list of steps that creates the container and, behind the start gate, becomes its
// program.
func Compile(s *specs.Spec, facts Facts, req Request, acts Acts) (*Plan, error) {
	c := newCompiler(s, facts, req, acts)
	identity, err := c.identity()
	if err != nil {
		return nil, err
	}
	if err := c.openRoot(); err != nil {
		return nil, err
	}
	if err := c.untilCreated(); err != nil {
		return nil, err
	}
	c.add(c.keepOnly())
	c.plan.Gate = len(c.plan.Steps)
	c.add(c.untilStartOrSignal())
	gate, err := c.waitForStart()
	if err != nil {
		return nil, err
	}
	c.add(gate)
	c.add(identity...)
	c.add(c.exec())
	return c.plan, nil
}

func newCompiler(s *specs.Spec, facts Facts, req Request, acts Acts) *compiler {
	c := &compiler{spec: s, proc: s.Process, facts: facts, req: req, acts: acts, plan: &Plan{Plan: &launch.Plan{Here: true}}}
	c.gate, c.conn = c.slots.Take(), c.slots.Take()
	if c.proc.Terminal && req.ConsoleSocket {
		c.socket = c.slots.Take()
	}
	if c.labelled() {
		c.label = c.slots.Take()
	}
	return c
}

// openRoot plans the root file system.
func (c *compiler) openRoot() error {
	config, err := c.rootConfig()
	if err != nil {
		return err
	}
	c.root = enter.New(config, &c.slots)
	return nil
}

// untilCreated lists what stands before the moment at which create returns. Each of the parts knows its own steps; this is what
// comes after what.
func (c *compiler) untilCreated() error {
	//ex:begin oci.plan
	join := c.joined()
	c.add(c.before(join)...)
	c.add(c.born()...)
	c.add(goBack(join)...)
	c.add(c.members(join)...)
	c.add(c.settings()...)
	if err := c.fillAndEnter(); err != nil {
		return err
	}
	c.add(c.ready()...)
	c.add(parent("record the state: created", "create returns here; runtime-spec runtime.md, lifecycle", c.acts.Record))
	c.plan.Steps[len(c.plan.Steps)-1].Returns = true
	return nil
	//ex:stub
	// return todo.Exercise("oci.plan")
	//ex:end oci.plan
}

func (c *compiler) add(steps ...launch.Step) { c.plan.Add(steps...) }

// before lists what the parent does while there is no child yet.
func (c *compiler) before(join []*joinedNamespace) []launch.Step {
	var steps []launch.Step
	if c.facts.Cgroup.Path != "" {
		step := parent("make cgroup "+c.facts.Cgroup.Path+limits(c.spec.Linux.Resources), "the budget holds before the first instruction; config.json linux.resources", c.acts.MakeCgroup)
		step.Undo = c.acts.RemoveCgroup
		steps = append(steps, step)
	}
	if c.facts.Cgroup.Born {
		c.cgroup = c.slots.Take()
		steps = append(steps, parent("open the cgroup", "clone3(2), CLONE_INTO_CGROUP", func(r *launch.Run) error { return c.acts.OpenCgroup(r, c.cgroup) }))
	}
	steps = append(steps, c.openJoinFiles()...)
	for _, j := range join {
		steps = append(steps, j.open())
	}
	steps = append(steps, c.root.Prepare()...)
	if c.socket != 0 {
		steps = append(steps, parent("connect to the console socket", "the terminal's master will be sent there", func(r *launch.Run) error { return c.acts.ConsoleSocket(r, c.socket) }))
	}
	return append(steps, parent("listen on the start gate", "a socket in the state directory; unlike a FIFO it carries the error of execve back to start",
		func(r *launch.Run) error { return c.acts.Listen(r, c.gate) }))
}

// limits says in a few words what the budget is.
func limits(r *specs.LinuxResources) string {
	if r == nil {
		return ""
	}
	var list []string
	if m := r.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		list = append(list, fmt.Sprintf("memory %d MiB", *m.Limit>>20))
	}
	if p := r.Pids; p != nil && p.Limit != nil && *p.Limit > 0 {
		list = append(list, fmt.Sprintf("%d processes", *p.Limit))
	}
	if u := r.CPU; u != nil && u.Quota != nil && u.Period != nil && *u.Quota > 0 && *u.Period > 0 {
		list = append(list, fmt.Sprintf("%.2g CPUs", float64(*u.Quota)/float64(*u.Period)))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// born is the clone3 and what only the host can do for the new process.
func (c *compiler) born() []launch.Step {
	clone := launch.Step{Name: "clone3", Because: "it joins a user namespace before it makes others", Clone: &launch.Clone{Cgroup: c.cgroup}}
	if !c.below() {
		flags, names := c.fresh()
		clone.Name, clone.Because = "clone3 "+names, "config.json linux.namespaces; all at once, so nothing is ever half inside"
		clone.Clone.Flags = flags
	}
	steps := []launch.Step{clone}
	steps = append(steps, c.joinCgroup()...)
	if spec.New(c.spec, specs.UserNamespace) {
		steps = append(steps, c.mapIDs())
	}
	return append(steps, c.oomScore()...)
}

// later tells which namespaces cannot come with the clone: a time namespace whose clocks are to be set; an ipc namespace whose
// message queues are to be the new user namespace's root's, who is not yet there; and a cgroup namespace
// of a child that is not born in its group, because the namespace is rooted where its first member is at that moment. A second
// clone (below) is made by a member of the group.
func (c *compiler) later(kind specs.LinuxNamespaceType) bool {
	return kind == specs.IPCNamespace && spec.New(c.spec, specs.UserNamespace) ||
		kind == specs.TimeNamespace && len(c.spec.Linux.TimeOffsets) > 0 ||
		kind == specs.CgroupNamespace && !c.below() && (c.facts.Cgroup.Files > 0 || c.facts.Cgroup.Path != "" && !c.facts.Cgroup.Born)
}

// fillAndEnter is the root file system: made, shown to the hooks, entered.
func (c *compiler) fillAndEnter() error {
	c.add(c.root.Fill()...)
	if h := c.spec.Hooks; h != nil {
		if n := len(h.Prestart) + len(h.CreateRuntime); n > 0 { //nolint:staticcheck // Docker uses prestart
			c.add(parent(fmt.Sprintf("run %d prestart and createRuntime hooks", n), "runtime-spec config.md, hooks: the namespaces are there, pivot_root has not happened", c.acts.RuntimeHooks))
		}
		if n := len(h.CreateContainer); n > 0 {
			c.add(parent(fmt.Sprintf("run %d createContainer hooks", n), "runtime-spec config.md, hooks: in the container's namespaces, before pivot_root", c.acts.InsideHooks))
		}
	}
	steps, err := c.root.Pivot()
	c.add(steps...)
	return err
}

// ready lists what is left to do before create returns.
func (c *compiler) ready() []launch.Step {
	steps := c.schedule()
	if c.socket != 0 {
		steps = append(steps, enter.SendMaster(c.root.ConsoleSlots, *c.root.Console))
		steps = append(steps, c.attach()...)
	} else {
		steps = append(steps, c.ownNull()...)
		steps = append(steps, c.ownStreams()...)
	}
	steps = append(steps, c.shut(c.gate), c.chdir(), c.findProgram())
	return append(steps, c.limits()...)
}

// attach lets the runtime set the terminal up before the program can write to it.
func (c *compiler) attach() []launch.Step {
	if !c.req.Foreground {
		return nil
	}
	return []launch.Step{parent("take the terminal's master", "termios(3): what the program writes first must not be changed on its way", c.acts.Attach)}
}

// keepOnly closes whatever the runtime had open: a created container may wait for days, and must not hold its callers' pipes
// and locks meanwhile. The gate moves to the first free descriptor behind the program's.
func (c *compiler) keepOnly() launch.Step {
	first := 3 + c.req.PreserveFDs
	code := []launch.Instr{}
	if c.label != 0 {
		code = append(code, launch.Call(unix.SYS_FCNTL, c.label, launch.Int(unix.F_DUPFD_CLOEXEC), launch.Int(first+2)).Into(c.label))
	}
	code = append(code, launch.Call(unix.SYS_DUP3, c.gate, launch.Int(first), launch.Int(unix.O_CLOEXEC)).Or(unix.EINVAL))
	rest := first + 1
	if c.label != 0 {
		code = append(code, launch.Call(unix.SYS_DUP3, c.label, launch.Int(first+1), launch.Int(unix.O_CLOEXEC)))
		rest++
	}
	code = append(code, launch.Call(unix.SYS_CLOSE_RANGE, launch.Int(rest), launch.Int(^uint32(0)), launch.Int(0)))
	return child(fmt.Sprintf("close all descriptors but 0 to %d and the gate", first-1), "nothing of the host stays open (CVE-2024-21626)", code...)
}

// waitForStart blocks until start connects; from then on failures are reported to it.
func (c *compiler) waitForStart() (launch.Step, error) {
	//ex:begin oci.start-gate
	gate := launch.Int(3 + c.req.PreserveFDs)
	code := []launch.Instr{
		launch.Call(unix.SYS_ACCEPT4, gate, launch.Int(0), launch.Int(0), launch.Int(unix.SOCK_CLOEXEC)).Into(c.conn).At("again").On(unix.EINTR, "again"),
		launch.ReportTo(c.conn),
		launch.Call(unix.SYS_CLOSE, gate),
	}
	return child("accept on the start gate", "runtime-spec runtime.md: the user's program waits for start", code...), nil
	//ex:stub
	// return launch.Step{}, todo.Exercise("oci.start-gate")
	//ex:end oci.start-gate
}

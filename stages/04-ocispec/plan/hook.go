package plan

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// CompileHook lists the steps of a startContainer hook. It is a process of the container like one of exec: the same user, groups,
// limits, capabilities and filter. Only its program, its arguments, its environment and its streams are its own.
func CompileHook(s *specs.Spec, h specs.Hook, facts Facts, req Request, acts Acts) (*Plan, error) {
	proc := *s.Process
	proc.Terminal, proc.Args, proc.Env = false, h.Args, h.Env
	if len(proc.Args) == 0 {
		proc.Args = []string{h.Path}
	}
	c := &compiler{spec: s, proc: &proc, facts: facts, req: req, acts: acts, joining: true, plan: &Plan{Plan: &launch.Plan{}}}
	c.conn = c.slots.Take()
	if c.labelled() {
		c.label = c.slots.Take()
	}
	identity, err := c.identity()
	if err != nil {
		return nil, err
	}
	in, out := c.slots.Take(), c.slots.Take()
	c.add(parent("open the hook's streams", "runtime-spec config.md, hooks: the state is on its standard input", func(r *launch.Run) error { return acts.Streams(r, in, out) }))
	c.add(c.enterContainer(in, out)...)
	c.add(c.personality()...)
	c.add(c.schedule()...)
	c.add(child("connect the streams", "dup2(2)", dup(in, 0), dup(out, 1), dup(out, 2)))
	c.add(c.shut(), c.chdir())
	c.add(c.limits()...)
	c.add(identity...)
	c.add(child(fmt.Sprintf("execve %s", h.Path), "config.json hooks.startContainer",
		launch.Call(unix.SYS_EXECVE, launch.Str(h.Path), launch.Strs(proc.Args), launch.Strs(proc.Env))))
	return c.plan, nil
}

func dup(s launch.Slot, fd uintptr) launch.Instr {
	return launch.Call(unix.SYS_DUP3, s, launch.Int(fd), launch.Int(0))
}

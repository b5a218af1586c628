package plan

import (
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// openJoinFiles opens, in each v1 hierarchy, the file that the child will write itself into.
func (c *compiler) openJoinFiles() []launch.Step {
	for range c.facts.Cgroup.Files {
		c.files = append(c.files, c.slots.Take())
	}
	if len(c.files) == 0 {
		return nil
	}
	return []launch.Step{parent("open the cgroup in every hierarchy", "cgroups(7): on v1 nobody can be born in a group", func(r *launch.Run) error { return c.acts.JoinFiles(r, c.files) })}
}

// joinCgroup is the child's first act: all that follows is within the budget.
func (c *compiler) joinCgroup() []launch.Step {
	steps := c.enterGroup()
	if c.facts.Cgroup.Kept {
		steps = append(steps, parent("let the process go that has kept the scope", "org.freedesktop.systemd1(5): a scope ends with its last process; the limit of processes counts the child alone from now on", c.acts.Settle))
	}
	return steps
}

// enterGroup takes the child to where it was not born: "0" stands for whoever writes it.
func (c *compiler) enterGroup() (steps []launch.Step) {
	switch {
	case c.facts.Cgroup.Moved:
		steps = append(steps, parent("have systemd move it to cgroup "+c.facts.Cgroup.Path, "cgroup-v2.rst, delegation containment: an ordinary user may move nothing from outside into the user manager's groups", c.acts.MoveIn))
	case len(c.files) == 0:
		return nil
	}
	var code []launch.Instr
	for _, f := range c.files {
		code = append(code, launch.Call(unix.SYS_WRITE, f, launch.Str("0"), launch.Int(1)), launch.Call(unix.SYS_CLOSE, f))
	}
	if len(code) > 0 {
		steps = append(steps, child("join cgroup "+c.facts.Cgroup.Path+" in every hierarchy", "cgroups(7): the first thing it does, so the budget holds for all the rest", code...))
	}
	if c.spec != nil && !c.joining && spec.New(c.spec, specs.CgroupNamespace) && !c.below() {
		steps = append(steps, child("unshare the cgroup namespace", "cgroup_namespaces(7): its root is the group that the caller is in, so only now", launch.Call(unix.SYS_UNSHARE, launch.Int(unix.CLONE_NEWCGROUP))))
	}
	return steps
}

// showsHostTree tells whether an earlier mount has brought the host's tree to the target, as an ordinary user's bind of /sys does:
// the same file system cannot be mounted on itself (mount(2), EBUSY).
func (c *compiler) showsHostTree(target string) bool {
	for _, m := range c.spec.Mounts {
		o, at := enter.ParseOptions(m.Options), path.Clean("/"+m.Destination)
		if at == path.Clean(target) {
			return false
		}
		if o.Bind() && o.Flags&unix.MS_REC != 0 && strings.HasPrefix(path.Clean(target), at+"/") && path.Clean(m.Source) == at {
			return true
		}
	}
	return false
}

package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
)

// identity lists the last steps before execve: the process becomes the user, gives up capabilities, and locks itself in. The
// order is forced by who may do what: the bounding set needs CAP_SETPCAP, loading a filter needs CAP_SYS_ADMIN unless
// no_new_privs is set, and after the filter only what it allows can be done.
func (c *compiler) identity() ([]launch.Step, error) {
	if err := c.checkGroups(); err != nil {
		return nil, err
	}
	want, _ := caps.FromSpec(c.proc.Capabilities)
	sets, missing, err := caps.Limit(want, c.facts.Bounding)
	if err != nil {
		return nil, err
	}
	if missing != 0 {
		c.plan.Warnings = append(c.plan.Warnings, "this process lacks "+missing.String()+": the container does not get it")
	}
	for _, name := range (want.Ambient &^ sets.Ambient &^ missing).Names() {
		c.plan.Warnings = append(c.plan.Warnings, "can't raise ambient capability "+name+": it is neither permitted nor inheritable")
	}
	filter, err := c.filter()
	if err != nil {
		return nil, err
	}
	steps := []launch.Step{c.umask(), c.dropBounding(sets.Bounding), c.becomeUser()}
	final := setCapabilities(fmt.Sprintf("keep %d capabilities", sets.Effective.Count()), "capabilities(7); config.json process.capabilities", sets)
	if c.labelled() {
		steps = append(steps, c.enterProfile())
	}
	if filter != nil && !c.proc.NoNewPrivileges {
		all := caps.Sets{Permitted: c.facts.Permitted, Effective: c.facts.Permitted}
		steps = append(steps, setCapabilities("take back the capabilities that changing the user took", "seccomp(2): loading a filter needs CAP_SYS_ADMIN without no_new_privs", all))
		return slices.Concat(steps, filter, []launch.Step{final}, ambient(sets.Ambient)), nil
	}
	steps = append(append(steps, final), ambient(sets.Ambient)...)
	if c.proc.NoNewPrivileges {
		steps = append(steps, child("set no_new_privs", "prctl(2) PR_SET_NO_NEW_PRIVS: no program gives more than there is",
			launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_SET_NO_NEW_PRIVS), launch.Int(1), launch.Int(0), launch.Int(0), launch.Int(0))))
	}
	return append(steps, filter...), nil
}

func (c *compiler) umask() launch.Step {
	mask := uint32(0o022)
	if m := c.proc.User.Umask; m != nil {
		mask = *m
	}
	return child(fmt.Sprintf("set umask %04o", mask), "umask(2)", launch.Call(unix.SYS_UMASK, launch.Int(mask)))
}

// dropBounding takes away for good what is not in the set. A number that the kernel does not know is EINVAL.
func (c *compiler) dropBounding(keep caps.Mask) launch.Step {
	var code []launch.Instr
	for n := range caps.Names() {
		if bit := caps.Mask(1) << n; keep&bit == 0 && c.facts.Bounding&bit != 0 {
			code = append(code, launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_CAPBSET_DROP), launch.Int(n), launch.Int(0), launch.Int(0), launch.Int(0)).Or(unix.EINVAL))
		}
	}
	return child(fmt.Sprintf("limit the bounding set to %d capabilities", keep.Count()), "capabilities(7): what leaves it never returns", code...)
}

// becomeUser sets the ids, keeping the permitted capabilities for the steps that follow. The supplementary groups are always
// set: whoever called us has groups of its own (CVE-2022-36109).
func (c *compiler) becomeUser() launch.Step {
	u := c.proc.User
	groups := launch.Buf(0)
	for _, g := range u.AdditionalGids {
		groups.Data = binary.NativeEndian.AppendUint32(groups.Data, g)
	}
	code := []launch.Instr{launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_SET_KEEPCAPS), launch.Int(1), launch.Int(0), launch.Int(0), launch.Int(0))}
	if !c.noGroups() {
		set := launch.Call(unix.SYS_SETGROUPS, launch.Int(len(u.AdditionalGids)), groups)
		if c.facts.Rootless && len(c.spec.Linux.GIDMappings) == 0 { // a user namespace that is joined: who made it has decided
			set = set.Or(unix.EPERM)
		}
		code = append(code, set)
	}
	code = append(code,
		launch.Call(unix.SYS_SETRESGID, launch.Int(u.GID), launch.Int(u.GID), launch.Int(u.GID)),
		launch.Call(unix.SYS_SETRESUID, launch.Int(u.UID), launch.Int(u.UID), launch.Int(u.UID)))
	name := fmt.Sprintf("become user %d, group %d", u.UID, u.GID)
	if len(u.AdditionalGids) > 0 {
		name += ", groups " + strings.Trim(fmt.Sprint(u.AdditionalGids[:min(len(u.AdditionalGids), 16)]), "[]")
	}
	if n := len(u.AdditionalGids) - 16; n > 0 {
		name += fmt.Sprintf(" and %d more", n)
	}
	return child(name, "config.json process.user; setresuid(2), setgroups(2)", code...)
}

// setCapabilities is capset(2), version 3: three sets, lower words first.
func setCapabilities(name, because string, s caps.Sets) launch.Step {
	header, data := launch.Buf(8), launch.Buf(24)
	order := binary.NativeEndian
	order.PutUint32(header.Data, unix.LINUX_CAPABILITY_VERSION_3)
	for i, set := range []caps.Mask{s.Effective, s.Permitted, s.Inheritable} {
		order.PutUint32(data.Data[4*i:], uint32(set))
		order.PutUint32(data.Data[12+4*i:], uint32(set>>32))
	}
	return child(name, because, launch.Call(unix.SYS_CAPSET, header, data))
}

func ambient(set caps.Mask) []launch.Step {
	var code []launch.Instr
	for n := range caps.Names() {
		if set&(1<<n) != 0 {
			code = append(code, launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_CAP_AMBIENT), launch.Int(unix.PR_CAP_AMBIENT_RAISE), launch.Int(n), launch.Int(0), launch.Int(0)))
		}
	}
	if code == nil {
		return nil
	}
	return []launch.Step{child(fmt.Sprintf("raise %d ambient capabilities", set.Count()), "capabilities(7): they survive execve without file capabilities", code...)}
}

// enterProfile writes the AppArmor profile, or the SELinux label, that the next execve enters.
func (c *compiler) enterProfile() launch.Step {
	text := "exec " + c.proc.ApparmorProfile
	fd := launch.Arg(c.label)
	if c.gate != 0 {
		fd = launch.Int(4 + c.req.PreserveFDs)
	}
	if c.proc.ApparmorProfile == "" {
		return c.enterLabel(fd)
	}
	return child("enter AppArmor profile "+c.proc.ApparmorProfile+" at execve", "apparmor(7); config.json process.apparmorProfile",
		launch.Call(unix.SYS_WRITE, fd, launch.Str(text), launch.Int(len(text))))
}

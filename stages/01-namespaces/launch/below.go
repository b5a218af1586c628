package launch

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Below makes the rest of the namespaces from inside a user namespace that the child has just joined, so that they belong to
// it (user_namespaces(7), "Interaction of user namespaces and other types of namespaces"). Nobody moves into a pid namespace,
// or into a time namespace with its first clone, so the child makes a child of its own and ends. CLONE_PARENT makes that one
// the parent's: the launch goes on with it as if there had been no other, and everything behind this step is done by it.
//
// What stands before it must not have put the child into a pid namespace of its own: process 1 may not use CLONE_PARENT
// (clone(2), EINVAL). With no flags it only gets a member into a pid namespace that the child has joined.
func Below(flags uint64, names, because string) Step {
	return Step{Name: "clone3 " + names, Because: because, Side: Child, Clone: &Clone{Flags: flags}}
}

// rebirth appends the second clone. The younger child waits until the parent has adopted it; the older one ends.
func (a *program) rebirth(n int, c *Clone, shared *sharedPage) error {
	if c.Cgroup != 0 {
		return errors.New("the younger child is born where the older one is: a cgroup belongs to the first clone")
	}
	args := words(c.Flags|unix.CLONE_PARENT|unix.CLONE_PARENT_SETTID, 0, 0, uint64(uintptr(unsafe.Pointer(shared.younger()))), 0, 0, 0, 0, 0, 0, 0)
	which := Buf(8)
	err := a.step(n, &Step{Code: []Instr{
		Call(unix.SYS_CLONE3, args, Int(len(args.Data))).Into(slotHeard),
		Store(which, 0, slotHeard),
		Expect(which, 0, ^uint64(0), 0, unix.ECHILD).On(unix.ECHILD, "older").Goto(Next),
		Call(unix.SYS_EXIT_GROUP, Int(0)).At("older"),
	}})
	a.turn(n)
	return err
}

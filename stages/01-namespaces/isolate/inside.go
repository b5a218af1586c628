package isolate

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// pidInside tells whether a pid namespace is joined by the child, from inside the user namespace that gives an ordinary user the
// right to. Root's thread joins it before the clone.
func (r Request) pidInside() bool {
	_, user := r.JoinPaths["user"]
	_, pid := r.JoinPaths["pid"]
	return r.Ordinary && (user || contains(r.Join, "user")) && (pid || contains(r.Join, "pid"))
}

// joinPIDInside makes the child's child a member of the pid namespace: the child itself keeps its number for life.
func joinPIDInside(r Request) []launch.Step {
	if !r.pidInside() {
		return nil
	}
	slot := slotTarget
	if _, ok := r.JoinPaths["pid"]; ok {
		slot = slotPaths + launch.Slot(slices.IndexFunc(namespace.Kinds(), func(k namespace.Kind) bool { return k.File == "pid" }))
	}
	return []launch.Step{
		launch.Setns(slot, unix.CLONE_NEWPID, "pid, for children"),
		launch.Below(0, "inside", "pid_namespaces(7): setns does not move its caller, only children born later; CLONE_PARENT keeps it our child"),
	}
}

func (r Request) target() string {
	if r.TargetFD > 0 {
		return fmt.Sprintf("take the process behind descriptor %d", r.TargetFD)
	}
	return fmt.Sprintf("open process %d", r.Target)
}

// openTarget is a pidfd of the process to join.
func (r Request) openTarget() (int, error) {
	if r.TargetFD == 0 {
		return unix.PidfdOpen(r.Target, 0)
	}
	return unix.FcntlInt(uintptr(r.TargetFD), unix.F_DUPFD_CLOEXEC, 0)
}

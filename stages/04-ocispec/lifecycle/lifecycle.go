// Package lifecycle is the life of a container as data: which status there is, how it follows from what can be seen, and what
// may be done in it (runtime-spec runtime.md, "State" and "Lifecycle"). Nothing here is stored anywhere.
package lifecycle

import (
	"fmt"
	"slices"
)

// Status is the runtime-spec's status of a container, and "paused", which every runtime has added to it.
type Status string

const (
	Creating Status = "creating"
	Created  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// Op is an operation on a container that exists.
type Op string

const (
	Start  Op = "start"
	Kill   Op = "kill"
	Exec   Op = "exec"
	Pause  Op = "pause"
	Resume Op = "resume"
	Update Op = "update"
	Delete Op = "delete"
	Ps     Op = "ps"
	Events Op = "events"

	Checkpoint Op = "checkpoint"
)

// Facts are what the kernel and the container's directory show.
type Facts struct {
	Recorded bool // create has come to its end: state.json names a process
	Alive    bool // that very process exists and is no zombie
	Gate     bool // its start gate is still there: nobody has called start
	Frozen   bool // its cgroup is frozen
}

// StatusOf derives the status.
func StatusOf(f Facts) Status {
	switch {
	case !f.Recorded:
		return Creating
	case !f.Alive:
		return Stopped
	case f.Frozen:
		return Paused
	case f.Gate:
		return Created
	}
	return Running
}

// allowed says where each operation may begin.
func allowed() (map[Op][]Status, error) {
	//ex:begin oci.state
	return map[Op][]Status{
		Start:  {Created},
		Kill:   {Created, Running, Paused},
		Exec:   {Created, Running},
		Pause:  {Created, Running},
		Resume: {Paused},
		Update: {Created, Running, Paused},
		Delete: {Created, Stopped}, // the spec says stopped; runc ends a created one first, and callers rely on it
		Ps:     {Created, Running, Paused},
		Events: {Created, Running, Paused},

		Checkpoint: {Running, Paused},
	}, nil
	//ex:stub
	// return nil, todo.Exercise("oci.state")
	//ex:end oci.state
}

// Error is an operation that the status does not allow.
type Error struct {
	Op     Op
	Status Status
}

// Error speaks as runc does, where callers are known to compare the text.
func (e *Error) Error() string {
	switch {
	case e.Op == Kill || (e.Op == Pause && e.Status == Stopped), e.Op == Ps, e.Op == Events, e.Op == Update && e.Status == Stopped:
		return "container not running"
	case e.Op == Start && e.Status == Stopped:
		return "cannot start a container that has stopped"
	case e.Op == Start && e.Status == Running:
		return "cannot start an already running container"
	case e.Op == Start:
		return fmt.Sprintf("cannot start a container in the %s state", e.Status)
	case e.Op == Exec && e.Status == Stopped:
		return "cannot exec a container that has stopped"
	case e.Op == Exec && e.Status == Paused:
		return "cannot exec in a paused container (use --ignore-paused to override)"
	case e.Op == Pause:
		return "container not running or created: " + string(e.Status)
	case e.Op == Resume:
		return "container not paused"
	case e.Op == Checkpoint:
		return fmt.Sprintf("Container cannot be checkpointed in %s state", e.Status)
	case e.Op == Delete:
		return "cannot delete container that is not stopped: " + string(e.Status)
	}
	return fmt.Sprintf("cannot %s a container in the %s state", e.Op, e.Status)
}

// Check returns an *Error unless the operation may begin in the status.
func Check(op Op, s Status) error {
	table, err := allowed()
	if err != nil || slices.Contains(table[op], s) {
		return err
	}
	return &Error{op, s}
}

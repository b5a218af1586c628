package engine

import (
	"cmp"
	"slices"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

// Want is what the records say about one container.
type Want struct {
	ID            string
	Wanted        bool // started and not stopped by the user, as far as the daemon knew
	Ran           bool // it was started at least once
	StoppedByUser bool
	AutoRemove    bool
	Policy        container.RestartPolicy
	Restarts      int
	LastCode      int
}

// Verb is what has to be done.
type Verb string

// The verbs of a reconciliation.
const (
	Adopt   Verb = "adopt"   // it runs: watch it
	Bury    Verb = "bury"    // it ended while nobody looked: record its exit, clean up
	Discard Verb = "discard" // its task was made and never started: the start was not acknowledged
	Lost    Verb = "lost"    // it should run and nobody knows of it
	Raise   Verb = "raise"   // start it: its restart policy says so
	Remove  Verb = "remove"  // --rm, and its run is over
	Kill    Verb = "kill"    // a task that no record knows
)

// Action is one verb for one container. Exit belongs to Bury.
type Action struct {
	Verb Verb
	ID   string
	Exit manager.Exit
}

// Reconcile compares intent with what there is and says what to do; it does nothing itself. Known tells whether an
// id without a readable record still has a directory (its record is damaged): such a container is left alone.
func Reconcile(want []Want, have []manager.Task, known func(id string) bool) ([]Action, error) {
	tasks := map[string]manager.Task{}
	for _, t := range have {
		tasks[t.ID] = t
	}
	var plan []Action
	wanted := map[string]bool{}
	for _, w := range want {
		wanted[w.ID] = true
		t, ok := tasks[w.ID]
		actions, err := decide(w, t, ok)
		if err != nil {
			return nil, err
		}
		plan = append(plan, actions...)
	}
	for _, t := range have {
		if !wanted[t.ID] && !known(t.ID) {
			plan = append(plan, Action{Verb: Kill, ID: t.ID})
		}
	}
	slices.SortStableFunc(plan, func(a, b Action) int { return cmp.Compare(a.ID, b.ID) })
	return plan, nil
}

// decide is the table for one container: w is what was asked for, t the manager's task if one exists.
func decide(w Want, t manager.Task, exists bool) ([]Action, error) {
	//ex:begin daemon.restore
	switch {
	case exists && t.Created: // made and never started: nobody was told that it runs
		return append([]Action{{Verb: Discard, ID: w.ID}}, afterwards(w, w.LastCode)...), nil
	case exists && t.Running: // even if it was not wanted any more: a stop that was cut short is asked for again
		return []Action{{Verb: Adopt, ID: w.ID}}, nil
	case exists: // burying decides about restart and --rm itself, with the exit code
		return []Action{{Verb: Bury, ID: w.ID, Exit: t.Exit}}, nil
	case w.Wanted && w.Ran: // it should run and nobody knows of it: the machine was booted
		return append([]Action{{Verb: Lost, ID: w.ID}}, afterwards(w, unknownCode)...), nil
	}
	return afterwards(w, w.LastCode), nil
	//ex:stub
	// _, _, _ = w, t, exists
	// return nil, todo.Exercise("daemon.restore")
	//ex:end daemon.restore
}

// afterwards is what follows for a container that does not run.
func afterwards(w Want, code int) []Action {
	switch {
	case !w.Ran:
		return nil
	case ShouldRestart(w.Policy, code, w.StoppedByUser, w.Restarts), w.Policy.IsAlways():
		return []Action{{Verb: Raise, ID: w.ID}}
	case w.AutoRemove:
		return []Action{{Verb: Remove, ID: w.ID}}
	}
	return nil
}

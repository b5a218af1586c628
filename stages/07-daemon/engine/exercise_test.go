package engine

import (
	"fmt"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

// TestReconcileExercise is the test of daemon.restore: the daemon was killed and starts again.
func TestReconcileExercise(t *testing.T) {
	always := container.RestartPolicy{Name: "always"}
	for _, row := range []struct {
		story, code, means string
		want               Want
		have               *manager.Task
		plan               string
	}{
		{
			"its process runs", "DAEMON-RESTORE-1", "a container that runs is taken up as it is. Whatever else is done to it, a user's process pays for a restart of the daemon.",
			Want{Wanted: true, Ran: true, Policy: always},
			&manager.Task{Running: true}, "[adopt]",
		},
		{
			"the user's stop was noted, then the daemon was killed; its process runs", "DAEMON-RESTORE-1", "the stop was not acknowledged; the user asks again, or not. It runs, so it is adopted: state is derived from what there is.",
			Want{Ran: true, StoppedByUser: true},
			&manager.Task{Running: true}, "[adopt]",
		},
		{
			"its process ended with 7 while the daemon was away", "DAEMON-RESTORE-2", "the shim has kept the exit code, the task is there and has ended. Burying it records the code; that a record says \"it should run\" does not mean that it is lost.",
			Want{Wanted: true, Ran: true, AutoRemove: true},
			&manager.Task{Exit: manager.Exit{Code: 7}}, "[bury 7]",
		},
		{
			"its task was created, and the daemon was killed before it was started", "DAEMON-RESTORE-3", "a created task counts as running for the manager (it has a process), but the user's program was never executed and nobody was told that it was. It is discarded; adopting it would wait for ever for something that nobody starts.",
			Want{Wanted: true},
			&manager.Task{Running: true, Created: true}, "[discard]",
		},
		{
			"the machine was booted: no task; restart policy always", "DAEMON-RESTORE-4", "first the old run gets its end (nobody knows its code), then the policy speaks.",
			Want{Wanted: true, Ran: true, Policy: always},
			nil, "[lost raise]",
		},
		{
			"it was stopped by the user, long ago", "DAEMON-RESTORE-4", "no task and none wanted: there is nothing to do.",
			Want{Ran: true, StoppedByUser: true},
			nil, "[]",
		},
		{
			"--rm, it had ended, the removal was cut short", "DAEMON-RESTORE-5", "what follows for a container that does not run (afterwards) applies whether its task is gone or was never there.",
			Want{Ran: true, AutoRemove: true},
			nil, "[remove]",
		},
	} {
		row.want.ID = "web"
		var have []manager.Task
		if row.have != nil {
			row.have.ID = "web"
			have = append(have, *row.have)
		}
		plan, err := Reconcile([]Want{row.want}, have, func(string) bool { return false })
		teach.Begun(t, err)
		if got := shortPlan(plan); got != row.plan || err != nil {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "daemon.restore", Title: "after a kill -9 of the daemon every container is what it was", Code: row.code,
				Did:  "asked your decide() about a container of which this is true: " + row.story,
				Saw:  fmt.Sprintf("%s   (error: %v)", got, err),
				Want: row.plan, Means: row.means,
				Try:  "slipway jobs; slipctl tasks ls   show both sides of the comparison on a running engine",
				Read: "docs/07-daemon.md#reconcile",
			})
		}
	}
}

func shortPlan(plan []Action) string {
	words := []string{}
	for _, a := range plan {
		w := string(a.Verb)
		if a.Verb == Bury {
			w += fmt.Sprintf(" %d", a.Exit.Code)
		}
		words = append(words, w)
	}
	return fmt.Sprint(words)
}

package lifecycle

import (
	"slices"
	"testing"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// TestAllowed is the exercise oci.state.
func TestAllowed(t *testing.T) {
	teach.Begun(t, Check(Start, Created))
	const title = "an operation begins only where it may"
	const read = "docs/04-ocispec.md#state    runtime-spec runtime.md, Lifecycle"
	for _, c := range []struct {
		op         Op
		status     Status
		code       string
		means, try string
	}{
		{
			Kill, Stopped, "OCI-STATE-1",
			"the container's first process is gone, and its number may belong to a stranger by now: a signal sent to it would hit whoever has it. dockerd waits for exactly these words to know that there is nobody left to kill.",
			"sh -c 'sleep 1 & echo $!' and, later, ps -p with that number",
		},
		{
			Start, Running, "OCI-STATE-2",
			"start opens the gate that a created container waits at. Once it has been opened there is nobody behind it: a second start would wait for ever, or open the gate of something else.",
			"slipway-runtime start ID, twice",
		},
		{
			Delete, Running, "OCI-STATE-3",
			"delete removes the record, and with it the only knowledge of which process the container is. What still runs would run on, unknown to anybody. Deleting by force kills first, and then it is stopped.",
			"slipway-runtime delete ID of a container that sleeps, then list",
		},
	} {
		if Check(c.op, c.status) != nil {
			continue
		}
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.state", Code: c.code, Title: title,
			Did:  "asked whether " + string(c.op) + " may begin when the container is " + string(c.status),
			Saw:  "yes",
			Want: "no: " + (&Error{c.op, c.status}).Error(), Means: c.means, Try: c.try, Read: read,
		})
	}
	for _, r := range begins() {
		for _, op := range operations() {
			if err := Check(op, r.status); err != nil && slices.Contains(r.ops, op) {
				teach.Fail(t, refused(op, r.status, err, title, read))
			}
		}
	}
	TestTable(t)
}

// refused explains an operation that would be sensible and does not begin.
func refused(op Op, status Status, err error, title, read string) teach.Diagnosis {
	return teach.Diagnosis{
		Exercise: "oci.state", Code: "OCI-STATE-4", Title: title,
		Did:  "asked whether " + string(op) + " may begin when the container is " + string(status),
		Saw:  "no: " + err.Error(),
		Want: "yes",
		Means: "a status forbids what would do harm in it, and nothing else. What is refused without need is an operator who cannot help himself: a paused container that nobody may kill " +
			"stays until somebody remembers to resume it.",
		Try:  "slipway-runtime pause ID; slipway-runtime kill ID KILL; slipway-runtime state ID",
		Read: read,
	}
}

package lifecycle

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		facts Facts
		want  Status
	}{
		{Facts{}, Creating},
		{Facts{Alive: true, Gate: true}, Creating},
		{Facts{Recorded: true}, Stopped},
		{Facts{Recorded: true, Gate: true}, Stopped},
		{Facts{Recorded: true, Frozen: true}, Stopped},
		{Facts{Recorded: true, Alive: true, Gate: true}, Created},
		{Facts{Recorded: true, Alive: true}, Running},
		{Facts{Recorded: true, Alive: true, Frozen: true}, Paused},
		{Facts{Recorded: true, Alive: true, Gate: true, Frozen: true}, Paused},
	} {
		require.Equal(t, c.want, StatusOf(c.facts), "%+v", c.facts)
	}
}

// begins is the table of runtime-spec's lifecycle, written the other way round.
func begins() []row {
	return []row{
		{Creating, nil},
		{Created, []Op{Start, Kill, Exec, Pause, Update, Ps, Events, Delete}},
		{Running, []Op{Kill, Exec, Pause, Update, Ps, Events, Checkpoint}},
		{Paused, []Op{Kill, Resume, Update, Ps, Events, Checkpoint}},
		{Stopped, []Op{Delete}},
	}
}

// row are the operations that may begin in a status.
type row struct {
	status Status
	ops    []Op
}

func operations() []Op {
	return []Op{Start, Kill, Exec, Pause, Resume, Update, Delete, Ps, Events, Checkpoint}
}

func TestTable(t *testing.T) {
	for _, r := range begins() {
		for _, op := range operations() {
			require.Equal(t, slices.Contains(r.ops, op), Check(op, r.status) == nil, "%s of a %s container", op, r.status)
		}
	}
}

func TestTheWordsThatCallersCompare(t *testing.T) {
	require.EqualError(t, Check(Kill, Stopped), "container not running")
	require.EqualError(t, Check(Start, Stopped), "cannot start a container that has stopped")
	require.EqualError(t, Check(Start, Running), "cannot start an already running container")
	require.EqualError(t, Check(Delete, Running), "cannot delete container that is not stopped: running")
	require.EqualError(t, Check(Update, Stopped), "container not running")
	require.EqualError(t, Check(Exec, Creating), "cannot exec a container in the creating state")
}

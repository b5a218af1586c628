package matrix

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/gotest"
)

func TestReadTellsTheStatesApart(t *testing.T) {
	for want, r := range map[State]gotest.Result{
		Done:        {Passed: 1},
		NotStarted:  {Failed: 1, Output: "x\nNOT STARTED    ns.join   this is where you begin\n"},
		NotYetRight: {Failed: 1, Output: "NOT YET RIGHT  ns.join  \"title\"  [NS-JOIN-1]\n  did  x\n"},
		Broken:      {Failed: 1, Output: "panic: oops"},
	} {
		require.Equal(t, want, Read(r).State)
	}
	v := Read(gotest.Result{Failed: 1, Output: "NOT YET RIGHT  ns.join  \"title\"  [NS-JOIN-1]\n  did  x\n"})
	require.Equal(t, "ns.join", v.Slug)
	require.Equal(t, "NS-JOIN-1", v.Code)
	require.Equal(t, Broken, Read(gotest.Result{}).State, "no test ran")
}

func TestNormalForgetsWhatDiffersFromRunToRun(t *testing.T) {
	require.Equal(t, normal("saw  /tmp/TestX12/001/m\n   NSpid: 12 1"), normal("saw /tmp/TestX345/001/m NSpid: 8 1\n"))
}

func TestNeedsAreTransitive(t *testing.T) {
	m := Matrix{Exercises: []exercise.Exercise{{Slug: "a.a"}, {Slug: "b.b", Needs: []string{"a.a"}}, {Slug: "c.c", Needs: []string{"b.b"}}}}
	require.Equal(t, []string{"b.b", "a.a"}, m.needs(m.Exercises[2]))
}

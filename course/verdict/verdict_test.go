package verdict_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/verdict"
)

func TestReadTellsTheStatesApart(t *testing.T) {
	for want, r := range map[verdict.State]gotest.Result{
		verdict.Done:         {Passed: 1},
		verdict.NotStarted:   {Failed: 1, Output: "x\nNOT STARTED    ns.join   this is where you begin\n"},
		verdict.NotYetRight:  {Failed: 1, Output: "NOT YET RIGHT  ns.join  \"title\"  [NS-JOIN-1]\n  did  x\n"},
		verdict.Broken:       {Failed: 1, Output: "panic: oops"},
		verdict.Unverifiable: {Skipped: 1, Skips: []string{"p TestX: needs root"}},
	} {
		require.Equal(t, want, verdict.Read(r).State)
	}
	v := verdict.Read(gotest.Result{Failed: 1, Output: "NOT YET RIGHT  ns.join  \"title\"  [NS-JOIN-1]\n  did  x\n"})
	require.Equal(t, verdict.Verdict{State: verdict.NotYetRight, Slug: "ns.join", Code: "NS-JOIN-1", Text: "NOT YET RIGHT  ns.join  \"title\"  [NS-JOIN-1]\n  did  x\n"}, v)
	require.Equal(t, verdict.Broken, verdict.Read(gotest.Result{}).State, "no test ran")
}

package matrix

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
)

func TestNormalForgetsWhatDiffersFromRunToRun(t *testing.T) {
	require.Equal(t, normal("saw  /tmp/TestX12/001/m\n   NSpid: 12 1"), normal("saw /tmp/TestX345/001/m NSpid: 8 1\n"))
}

func TestNeedsAreTransitive(t *testing.T) {
	m := Matrix{Exercises: []exercise.Exercise{{Slug: "a.a"}, {Slug: "b.b", Needs: []string{"a.a"}}, {Slug: "c.c", Needs: []string{"b.b"}}}}
	require.Equal(t, []string{"b.b", "a.a"}, m.needs(m.Exercises[2]))
}

package learner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/verdict"
)

// TestAllExercisesRunInOneMachine has a machine that only says when it is booted.
func TestAllExercisesRunInOneMachine(t *testing.T) {
	root := checkout(t)
	_, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	boots := filepath.Join(root, "boots")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "course/vm"), 0o755))
	require.NoError(t, os.WriteFile(learner.Machine(root), []byte("#!/bin/sh\necho boot >>"+boots+"\nshift\nexec \"$@\"\n"), 0o755))
	b := exercise.Exercise{Slug: "p.b", Stage: "01-namespaces", File: "p/p.go", Package: "./p", Test: "TestNone"}
	broken := exercise.Exercise{Slug: "p.c", Stage: "01-namespaces", File: "q/q.go", Package: "./q", Test: "TestC"}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "learn/01-namespaces/q"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "learn/01-namespaces/q/q_test.go"), []byte("package q\n\nvar x = nonsense\n"), 0o600))

	dir, err := learner.MachineDir(root)
	require.NoError(t, err)
	trial, err := learner.NewTrial(t.Context(), root, "01-namespaces", dir)
	require.NoError(t, err)
	defer trial.Close()
	all, err := trial.TryInVM(t.Context(), []exercise.Exercise{a, b, broken}, os.Stderr)
	require.NoError(t, err)
	require.Equal(t, "P-A-1", all["p.a"].Code)
	require.Equal(t, verdict.Broken, all["p.b"].State, "no such test")
	require.Equal(t, "COMPILE", all["p.c"].Code)
	text, err := os.ReadFile(boots)
	require.NoError(t, err)
	require.Equal(t, "boot\n", string(text))

	require.NoError(t, os.WriteFile(learner.Machine(root), []byte("#!/bin/sh\nexit 125\n"), 0o755))
	_, err = trial.TryInVM(t.Context(), []exercise.Exercise{a}, os.Stderr)
	require.ErrorContains(t, err, "the virtual machine: exit status 125")
}

package progress_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/verdict"
)

func TestNotesAreTextThatSurvives(t *testing.T) {
	root := t.TempDir()
	n, err := progress.Load(root)
	require.NoError(t, err)
	require.Equal(t, verdict.NotStarted, n.Of("ns.join"))

	evening := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	n.Tested("ns.join", verdict.Verdict{State: verdict.NotYetRight, Code: "NS-JOIN-1"}, evening)
	n["gone.renamed"] = progress.Entry{State: verdict.Done, Hints: 4, Peeked: true}
	require.NoError(t, n.Save(root))
	b, err := os.ReadFile(filepath.Join(root, "learn", "progress.toml"))
	require.NoError(t, err)
	require.Contains(t, string(b), "[\"ns.join\"]\nstate = \"NOT YET RIGHT\"\ncode = \"NS-JOIN-1\"\ntested = 2026-11-22T20:00:00Z\n")
	require.NotContains(t, string(b), "0001-01-01", "what is not known is not written")

	require.NoError(t, progress.Update(root, func(n progress.Notes) {
		n.Tested("ns.join", verdict.Verdict{State: verdict.Done}, evening.Add(time.Hour))
		n.Tested("ns.join", verdict.Verdict{State: verdict.Done}, evening.Add(2*time.Hour))
	}))
	n, err = progress.Load(root)
	require.NoError(t, err)
	require.Equal(t, evening.Add(time.Hour), n["ns.join"].Done, "the first time counts")
	require.Empty(t, n["ns.join"].Code)
	require.True(t, n["gone.renamed"].Peeked, "an unknown slug stays")
}

func TestAFileThatCannotBeReadIsNotReplaced(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "learn", "progress.toml")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("[["), 0o600))
	require.ErrorContains(t, progress.Update(root, func(progress.Notes) {}), "learn/progress.toml")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "[[", string(b))
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/screen"
	"github.com/slipway-engine/slipway/course/verdict"
)

func TestDifference(t *testing.T) {
	require.Equal(t, []string{" a", "-b", "+x", "+y", " c"}, difference([]string{"a", "b", "c"}, []string{"a", "x", "y", "c"}))
	require.Equal(t, []string{"+a"}, difference(nil, []string{"a"}))
}

func TestTheMapFitsIntoEightyColumns(t *testing.T) {
	st := stageStatus{Stage: "01-namespaces", Started: true, Source: "reference", Exercises: []exerciseStatus{
		{"ns.a-slug-that-is-far-too-long", strings.Repeat("title ", 20), "f.go", 125, progress.Entry{State: verdict.NotYetRight, Code: "NS-LONG-12"}},
		{"ns.b", "b", "f.go", 600, progress.Entry{State: verdict.Done, Peeked: true}},
	}}
	var out strings.Builder
	drawMap(screen.Screen{Writer: &out, Drawn: true}, []stageStatus{st, {Stage: "02-cgroups"}})
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), screen.Width, line)
	}
	require.Contains(t, out.String(), "NS-LONG-12")
	require.Contains(t, out.String(), "▓▓▓")
	require.Contains(t, out.String(), " 1 of  2, 2 h 05 to go")
}

func TestNextPrefersWhatCanBeDone(t *testing.T) {
	all := []exercise.Exercise{{Slug: "a.a", Stage: "01-a"}, {Slug: "a.b", Stage: "01-a", Needs: []string{"a.a"}}, {Slug: "b.a", Stage: "02-b"}}
	notes := progress.Notes{"a.a": {State: verdict.NotYetRight}}
	e, ok := next(t.TempDir(), all, notes, "")
	require.True(t, ok)
	require.Equal(t, "a.a", e.Slug)
	e, _ = next(t.TempDir(), all, progress.Notes{"a.a": {State: verdict.Unverifiable}}, "")
	require.Equal(t, "b.a", e.Slug, "a.b waits for what cannot be shown here")
	e, _ = next(t.TempDir(), all, progress.Notes{"a.a": {State: verdict.Unverifiable}}, "01-a")
	require.Equal(t, "a.b", e.Slug, "rather than nothing")
	_, ok = next(t.TempDir(), all[:1], progress.Notes{"a.a": {State: verdict.Done}}, "")
	require.False(t, ok)
}

func TestAWatchWakesWhenAGoFileIsSaved(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	fd, err := watched(dir)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "inotify")
	defer f.Close()

	there := func() error { return nil }
	require.ErrorIs(t, wait(t.Context(), fd, func() error { return os.ErrNotExist }), os.ErrNotExist)
	short, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "note.txt"), nil, 0o600))
	require.ErrorIs(t, wait(short, fd, there), context.DeadlineExceeded, "no Go file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "new"), nil, 0o600))
	require.NoError(t, os.Rename(filepath.Join(dir, "sub", "new"), filepath.Join(dir, "sub", "a.go")))
	require.NoError(t, wait(t.Context(), fd, there))
}

func TestSubjects(t *testing.T) {
	root, err := checkout()
	require.NoError(t, err)
	got, err := subjects(root, []string{"2", "stage-3", "ns.join"})
	require.NoError(t, err)
	require.Equal(t, []subject{{"02-cgroups", ""}, {"03-rootfs", ""}, {"01-namespaces", "ns.join"}}, got)
	_, err = subjects(root, []string{"ns.nothing"})
	require.ErrorContains(t, err, `no exercise "ns.nothing"`)
	_, err = subjects(root, []string{"9"})
	require.ErrorContains(t, err, `no stage "9"`)
}

func TestADiagnosisIsShownWithoutTheRunnersWords(t *testing.T) {
	require.Equal(t, "NOT YET RIGHT  a.b\n  did  x\n", cleaned("NOT YET RIGHT  a.b\n          did  x\n--- FAIL: TestX (0.00s)\nFAIL\nexit status 1\n"))
}

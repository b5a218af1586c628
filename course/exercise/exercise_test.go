package exercise_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
)

func slugs(list []exercise.Exercise) []string {
	var s []string
	for _, e := range list {
		s = append(s, e.Slug)
	}
	return s
}

func TestInOrderPutsNeedsFirst(t *testing.T) {
	list := []exercise.Exercise{{Slug: "a.a"}, {Slug: "a.b", Needs: []string{"a.d"}}, {Slug: "a.c"}, {Slug: "a.d", Needs: []string{"a.a", "z.z"}}}
	require.Equal(t, []string{"a.a", "a.d", "a.b", "a.c"}, slugs(exercise.InOrder(list)))
	circle := []exercise.Exercise{{Slug: "a.a", Needs: []string{"a.b"}}, {Slug: "a.b", Needs: []string{"a.a"}}}
	require.Len(t, exercise.InOrder(circle), 2, "a circle ends")
}

func TestNamed(t *testing.T) {
	list := []exercise.Exercise{{Slug: "a.a"}, {Slug: "a.b"}}
	e, err := exercise.Named(list, "a.b")
	require.NoError(t, err)
	require.Equal(t, "a.b", e.Slug)
	_, err = exercise.Named(list, "a.c")
	require.EqualError(t, err, `no exercise "a.c": did you mean a.a?`)
}

func TestLoadRefusesWhatALearnerWouldMiss(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "stages", "01-x")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n//ex:begin a.a\n//ex:stub\n//ex:end a.a\n"), 0o600))
	for toml, want := range map[string]string{
		"[[exercise]]\nslug = \"a.a\"\nfile = \"a.go\"\ncolour = 1": "unknown key exercise.colour",
		"[[exercise]]\nslug = \"a.b\"\nfile = \"a.go\"":             "a.go has no region of that slug",
		"[[exercise]]\nslug = \"a.a\"\nfile = \"a.go\"":             "0 hints, want a ladder of four",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "exercises.toml"), []byte(toml), 0o600))
		_, err := exercise.Load(root, "01-x")
		require.ErrorContains(t, err, want)
	}
}

func TestAMisspeltSlugFindsItsNeighbour(t *testing.T) {
	all := []exercise.Exercise{{Slug: "ns.join"}, {Slug: "ns.hostname"}, {Slug: "cg.kill"}}
	for typed, want := range map[string]string{
		"ns.jion":     `no exercise "ns.jion": did you mean ns.join?`,
		"hostname":    `no exercise "hostname": did you mean ns.hostname?`,
		"cg_kill":     `no exercise "cg_kill": did you mean cg.kill?`,
		"ns.pidfd":    `no exercise "ns.pidfd": there are ns.join, ns.hostname`,
		"xx.whatever": `no exercise "xx.whatever": there are ns.join, ns.hostname, cg.kill`,
	} {
		_, err := exercise.Named(all, typed)
		require.EqualError(t, err, want)
	}
}

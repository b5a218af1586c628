package matrix

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
)

const source = `package p

func A() int {
	//ex:begin p.a
	return 1
	//ex:stub
	// return -1
	//ex:end p.a
}

func B() int {
	//ex:begin p.b
	return A() + 1
	//ex:stub
	// return -1
	//ex:end p.b
}
`

const test = `package p

import "testing"

func check(t *testing.T, slug string, got, want int) {
	t.Helper()
	if A() < 0 {
		t.Fatal("\nNOT STARTED    p.a")
	}
	if got < 0 {
		t.Fatal("\nNOT STARTED    " + slug)
	}
	if got != want {
		t.Fatalf("\nNOT YET RIGHT  %s  \"x\"  [P-X-1]\n  saw  %d", slug, got)
	}
}

func TestA(t *testing.T) { check(t, "p.a", A(), 1) }
func TestB(t *testing.T) { check(t, "p.b", B(), 2) }
func TestC(t *testing.T) { t.Skip("needs luck") }
`

const mistake = `--- a/p/p.go
+++ b/p/p.go
@@ -2,5 +2,5 @@
 func A() int {
 	//ex:begin p.a
-	return 1
+	return 7
 	//ex:stub
 	// return -1
`

const other = `--- a/p/p.go
+++ b/p/p.go
@@ -10,5 +10,5 @@
 func B() int {
 	//ex:begin p.b
-	return A() + 1
+	return A() + 5
 	//ex:stub
 	// return -1
`

// course makes a checkout with one stage of two exercises.
func course(t *testing.T) *Matrix {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"docs/p.md":               "# P\n\n## The start\n",
		"docs/why/P-X-1.md":       "because\n",
		"stages/01-p/go.mod":      "module example.com/p\n\ngo 1.26\n",
		"stages/01-p/p/p.go":      source,
		"stages/01-p/p/p_test.go": test,
		"stages/01-p/testdata/mistakes/p.a/one.patch": mistake,
		"stages/01-p/testdata/mistakes/p.b/two.patch": other,
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	t.Setenv("GOWORK", "off")
	e := exercise.Exercise{Slug: "p.a", Stage: "01-p", File: "p/p.go", Package: "./p", Test: "TestA", Docs: "docs/p.md#the-start", Mistakes: []exercise.Mistake{{Name: "one", Code: "P-X-1"}}}
	f := e
	f.Slug, f.Test, f.Needs, f.Mistakes = "p.b", "TestB", []string{"p.a"}, []exercise.Mistake{{Name: "two", Code: "P-X-1"}}
	return &Matrix{Root: root, Stage: "01-p", Exercises: []exercise.Exercise{e, f}, Jobs: 2, Out: io.Discard}
}

// again is a new proof of the same stage.
func again(m *Matrix) *Matrix {
	return &Matrix{Root: m.Root, Stage: m.Stage, Exercises: m.Exercises, Jobs: 1, Out: io.Discard}
}

func TestAProofOfAGoodStage(t *testing.T) {
	m := course(t)
	m.Update = true
	require.NoError(t, m.Prove(t.Context()))
	require.Empty(t, m.Faults)
	golden := filepath.Join(m.dir(), "testdata/mistakes/p.a/one.golden")
	b, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, "NOT YET RIGHT p.a \"x\" [P-X-N] saw N\n", string(b))

	m = again(m)
	require.NoError(t, m.Prove(t.Context()))
	require.Empty(t, m.Faults)
	require.Equal(t, 2, m.Golden)
	require.Zero(t, m.Skipped)

	m = again(m)
	m.Only = "p.b"
	require.NoError(t, m.Prove(t.Context()))
	require.Empty(t, m.Faults)
	require.Equal(t, 1, m.Golden)
}

func TestAProofFindsWhatIsNotTrue(t *testing.T) {
	for name, c := range map[string]struct {
		spoil []func(*Matrix)
		want  []string
	}{
		"metadata": {
			[]func(*Matrix){func(m *Matrix) {
				m.Exercises[0].Mistakes[0].Code, m.Exercises[0].Docs = "P-X-2", "docs/p.md#the-end"
				m.Exercises[1].Needs = nil
			}},
			[]string{
				"p.a stubbed alone: p.b is NOT STARTED, and its needs say depends=false", "p.a, mistake one: NOT YET RIGHT [P-X-1], want NOT YET RIGHT [P-X-2]",
				"docs/why/P-X-2.md is missing", "p.b, mistake two: no golden text", "docs/p.md has no heading the-end",
			},
		},
		"source": {
			[]func(*Matrix){
				replace("stages/01-p/p/p.go", "return 1", "return 3"),
				replace("stages/01-p/p/p.go", "// return -1\n\t//ex:end p.b", "// return 2\n\t//ex:end p.b"),
				func(m *Matrix) { m.Exercises[0].Needs, m.Exercises[1].Needs = []string{"p.b"}, nil },
			},
			[]string{
				"p.a, solution: NOT YET RIGHT p.a, want DONE", "p.b, stub: DONE , want NOT STARTED",
				"one.patch: it no longer fits b/p/p.go",
			},
		},
		"compiler": {
			[]func(*Matrix){
				replace("stages/01-p/p/p.go", "// return -1\n\t//ex:end p.b", "// return nothing\n\t//ex:end p.b"),
				replace("stages/01-p/p/p_test.go", "func TestA(", "func TestNobody("),
			},
			[]string{"skeleton: go vet", "p.b, stub: BROKEN", "undefined: nothing", "p.a, solution: BROKEN", "no test ran"},
		},
	} {
		m := course(t)
		for _, spoil := range c.spoil {
			spoil(m)
		}
		require.NoError(t, m.Prove(t.Context()), name)
		for _, want := range c.want {
			require.Contains(t, strings.Join(m.Faults, "\n"), want, name)
		}
	}
}

func replace(file, from, to string) func(*Matrix) {
	return func(m *Matrix) {
		path := filepath.Join(m.Root, file)
		b, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o600); err != nil {
			panic(err)
		}
	}
}

func TestWhatCannotBeTriedIsCountedNotFailed(t *testing.T) {
	m := course(t)
	m.Exercises = m.Exercises[:1]
	m.Exercises[0].Test, m.Exercises[0].Mistakes = "TestC", nil
	require.NoError(t, m.Prove(t.Context()))
	require.Empty(t, m.Faults)
	require.Equal(t, 3, m.Skipped)
}

func TestAPatchFitsWhereverItsLinesHaveMoved(t *testing.T) {
	m := course(t)
	replace("stages/01-p/p/p.go", "package p\n", "package p\n\n// More.\nvar More int\n")(m)
	files, err := m.patched(filepath.Join(m.dir(), "testdata/mistakes/p.a/one.patch"))
	require.NoError(t, err)
	require.Contains(t, files[filepath.Join(m.dir(), "p/p.go")], "return 7")
	replace("stages/01-p/p/p.go", "return 1", "return 2 - 1")(m)
	_, err = m.patched(filepath.Join(m.dir(), "testdata/mistakes/p.a/one.patch"))
	require.ErrorContains(t, err, "it no longer fits b/p/p.go")
}

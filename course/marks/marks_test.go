package marks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/marks"
)

const source = `package p

import (
	"fmt"
	"os"
)

func a() error {
	//ex:begin p.a
	_, err := os.Stat("/")
	return err
	//ex:stub
	// return todo.Exercise("p.a")
	//ex:end p.a
}

func b() {
	//ex:begin p.b
	fmt.Println("b")
	//ex:stub
	// // nothing yet
	//ex:end p.b
}
`

func TestCutReplacesTheSolutionAndMendsImports(t *testing.T) {
	got, err := marks.Cut(source, func(s string) bool { return s == "p.a" })
	require.NoError(t, err)
	require.Equal(t, `package p

import "github.com/slipway-engine/slipway/stages/01-namespaces/todo"

import (
	"fmt"
)

func a() error {
	//ex:begin p.a
	return todo.Exercise("p.a")
	//ex:end p.a
}

func b() {
	//ex:begin p.b
	fmt.Println("b")
	//ex:end p.b
}
`, got)
}

func TestCutOfNothingKeepsTheSolutions(t *testing.T) {
	got, err := marks.Cut(source, func(string) bool { return false })
	require.NoError(t, err)
	require.Contains(t, got, "os.Stat")
	require.NotContains(t, got, "ex:stub")
}

func TestSnippet(t *testing.T) {
	got, err := marks.Snippet(source, "p.b")
	require.NoError(t, err)
	require.Equal(t, "\tfmt.Println(\"b\")", got)
	_, err = marks.Snippet(source, "p.c")
	require.EqualError(t, err, "no exercise p.c")
}

func TestMalformedMarksNameTheLine(t *testing.T) {
	for want, src := range map[string]string{
		"line 1: a.b has no end":                "//ex:begin a.b",
		"line 2: a.c begins inside a.b":         "//ex:begin a.b\n//ex:begin a.c",
		"line 1: ex:end outside of an exercise": "//ex:end a.b",
		"line 2: a.b has no stub":               "//ex:begin a.b\n//ex:end a.b",
		"line 3: a.c ends inside a.b":           "//ex:begin a.b\n//ex:stub\n//ex:end a.c",
		`line 1: "A_b" is no slug`:              "//ex:begin A_b",
	} {
		_, err := marks.Find(src)
		require.EqualError(t, err, want)
	}
}

func TestAnImportIsKnownByAnyPartOfItsPath(t *testing.T) {
	const src = "package p\n\nimport (\n\t\"github.com/opencontainers/go-digest\"\n\t\"github.com/opencontainers/runtime-spec/specs-go\"\n\t\"gopkg.in/yaml.v3\"\n\t\"example.com/gone/v2\"\n)\n\nvar (\n\ta specs.Spec\n\tb digest.Digest\n\tc yaml.Node\n)\n"
	got, err := marks.Cut(src, func(string) bool { return true })
	require.NoError(t, err)
	require.Contains(t, got, "specs-go")
	require.Contains(t, got, "go-digest")
	require.Contains(t, got, "yaml.v3")
	require.NotContains(t, got, "gone")
}

func FuzzCut(f *testing.F) {
	f.Add(source)
	f.Fuzz(func(t *testing.T, src string) {
		out, err := marks.Cut(src, func(string) bool { return true })
		if err != nil {
			return
		}
		again, err := marks.Cut(out, func(string) bool { return true })
		_, _ = again, err // a cut has marks without stubs: the second may refuse, never panic
	})
}

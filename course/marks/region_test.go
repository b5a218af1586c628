package marks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/marks"
)

func skeleton(t *testing.T) string {
	t.Helper()
	cut, err := marks.Cut(source, func(string) bool { return true })
	require.NoError(t, err)
	return cut
}

func TestBodyAndStubOfACut(t *testing.T) {
	body, err := marks.Body(skeleton(t), "p.a")
	require.NoError(t, err)
	stub, err := marks.Stub(source, "p.a")
	require.NoError(t, err)
	require.Equal(t, "\treturn todo.Exercise(\"p.a\")", body)
	require.Equal(t, stub, body)
	_, err = marks.Body(skeleton(t), "p.c")
	require.EqualError(t, err, "no exercise p.c")
}

func TestPutChangesOneRegionAndItsImports(t *testing.T) {
	solution, err := marks.Snippet(source, "p.a")
	require.NoError(t, err)
	got, err := marks.Put(skeleton(t), "p.a", solution, source)
	require.NoError(t, err)
	require.Contains(t, got, "_, err := os.Stat(\"/\")")
	require.Contains(t, got, "\t\"os\"\n")
	require.NotContains(t, got, "todo\"")
	require.Contains(t, got, "\t//ex:begin p.b\n\t// nothing yet\n\t//ex:end p.b", "the other region")

	stub, err := marks.Stub(source, "p.a")
	require.NoError(t, err)
	back, err := marks.Put(got, "p.a", stub, source)
	require.NoError(t, err)
	require.NotContains(t, back, "\"os\"")
	require.Contains(t, back, "return todo.Exercise(\"p.a\")")
}

func TestPutIntoAFileThatDoesNotParseKeepsTheRest(t *testing.T) {
	broken := "package p\n\nfunc a() {\n//ex:begin p.a\nreturn (\n//ex:end p.a\n}\nfunc b( {\n"
	got, err := marks.Put(broken, "p.a", "return nil", source)
	require.NoError(t, err)
	require.Equal(t, "package p\n\nfunc a() {\n//ex:begin p.a\nreturn nil\n//ex:end p.a\n}\nfunc b( {\n", got)
}

func TestAt(t *testing.T) {
	const cut = "package p\n//ex:begin p.a\nx\n//ex:end p.a\n"
	require.Equal(t, []string{"", "p.a", "p.a", "p.a", ""}, []string{
		marks.At(cut, 1), marks.At(cut, 2), marks.At(cut, 3), marks.At(cut, 4), marks.At(cut, 5),
	})
}

package gotest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/gotest"
)

func module(t *testing.T, test string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.26\n", "p/p.go": "package p\n", "p/p_test.go": test} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

var off = []string{"GOWORK=off"}

func TestABinaryIsBuiltOnceAndRunByPattern(t *testing.T) {
	dir := module(t, "package p\n\nimport (\n\"os\"\n\"testing\"\n)\n\n"+
		"func TestHere(t *testing.T) { if _, err := os.Stat(\"p.go\"); err != nil { t.Fatal(err) } }\n"+
		"func TestNo(t *testing.T) { t.Fatal(\"no\") }\n"+
		"func TestSkip(t *testing.T) { t.Skip(\"needs luck\") }\n")
	binary := filepath.Join(dir, "p.test")
	require.NoError(t, gotest.Build(t.Context(), dir, "./p", binary, off))

	runner, err := gotest.NewRunner(t.Context())
	require.NoError(t, err)
	r, err := runner.Run(t.Context(), binary, dir, "./p", "^TestHere$", off, 3)
	require.NoError(t, err)
	require.Equal(t, 3, r.Passed)
	r, err = runner.Run(t.Context(), binary, dir, "./p", "^(TestNo|TestSkip)$", off, 1)
	require.NoError(t, err)
	require.Equal(t, 1, r.Failed)
	require.Contains(t, r.Output, "p_test.go:9: no")
	require.Equal(t, []string{"./p TestSkip: needs luck"}, r.Skips)
}

func TestWhatTheCompilerSaysIsABuildError(t *testing.T) {
	dir := module(t, "package p\n\nvar x int = \"\"\n")
	err := gotest.Build(t.Context(), dir, "./p", filepath.Join(dir, "p.test"), off)
	var said *gotest.BuildError
	require.ErrorAs(t, err, &said)
	require.Contains(t, said.Output, "p/p_test.go:3:13: cannot use")
}

package gotest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const stream = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:9: no\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q [q.test]","Action":"build-output","Output":"q/q.go:3:1: syntax error\n"}
{"ImportPath":"q [q.test]","Action":"build-fail"}
{"Action":"fail","Package":"q","FailedBuild":"q [q.test]"}
`

func TestReadCountsTestsAndKeepsWhatMatters(t *testing.T) {
	var progress strings.Builder
	r, err := read(strings.NewReader(stream), &progress)
	require.NoError(t, err)
	require.Equal(t, Result{
		Passed: 1, Failed: 2, Skipped: 1,
		Skips:  []string{"p TestB: needs root"},
		Output: "    c_test.go:9: no\nFAIL\nq/q.go:3:1: syntax error\n",
	}, r)
	require.Equal(t, "FAIL p\nFAIL q\n", progress.String())
}

func TestWhatIsNoEventIsKept(t *testing.T) {
	r, err := read(strings.NewReader("go: cannot find main module\n"), &strings.Builder{})
	require.NoError(t, err)
	require.Equal(t, "go: cannot find main module\n", r.Output)
}

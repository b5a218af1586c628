package jsonlog

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// TestPieces is the exercise shim.logs: bytes become lines, however they arrive.
func TestPieces(t *testing.T) {
	f, path := open(t, Options{})
	s := f.Stream("stdout")
	for _, w := range []string{"he", "llo\nwor", "ld\n"} { // three reads of a pipe
		_, err := s.Write([]byte(w))
		teach.Begun(t, err)
		require.NoError(t, err)
	}
	require.NoError(t, s.Flush())
	want := []string{`hello\n`, `world\n`}
	if got := logged(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "shim.logs", Title: "bytes from a pipe become lines of a log", Code: "SHIM-LOG-1",
			Did:  `a container printed hello and world; they arrived as "he", "llo\nwor" and "ld\n"`,
			Saw:  fmt.Sprintf("%d lines in the log: %q", len(got), got),
			Want: fmt.Sprintf("%d lines: %q", len(want), want),
			Means: "a pipe knows bytes, not lines: one read gives half a line or ten. What has no newline yet is " +
				"not a line; it is the rest, to be put in front of what comes next.",
			Try:  "(printf he; sleep 1; printf 'llo\\n') | strace -e trace=read cat",
			Read: "docs/05-shim.md#logs, man 7 pipe (\"byte stream\")",
		})
	}
	testLongLine(t)
}

func testLongLine(t *testing.T) {
	f, path := open(t, Options{})
	s := f.Stream("stdout")
	_, err := s.Write([]byte(strings.Repeat("x", 2*MaxLine) + "end\nnext\n"))
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	var got []int
	for _, l := range logged(t, path) {
		got = append(got, len(strings.TrimSuffix(l, `\n`)))
	}
	want := []int{MaxLine, MaxLine, 3, 4}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "shim.logs", Title: "bytes from a pipe become lines of a log", Code: "SHIM-LOG-2",
			Did:  fmt.Sprintf("a container printed a line of %d bytes and then \"next\"", 2*MaxLine+3),
			Saw:  fmt.Sprintf("log entries of %v bytes", got),
			Want: fmt.Sprintf("log entries of %v bytes: no entry holds more than %d", want, MaxLine),
			Means: "a container may print a gigabyte without a newline. Who waits for the newline holds all of it in " +
				"memory, and every reader of the log must. Docker cuts at 16 KiB; only the last piece ends in \\n.",
			Try:  "docker run busybox sh -c 'head -c 40000 /dev/zero | tr \"\\0\" x; echo', then look at the log file",
			Read: "docs/05-shim.md#logs",
		})
	}
}

// logged gives the log fields of a file, still escaped.
func logged(t *testing.T, path string) (fields []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		text, _, _ := strings.Cut(strings.TrimPrefix(line, `{"log":"`), `","stream"`)
		fields = append(fields, text)
	}
	return fields
}

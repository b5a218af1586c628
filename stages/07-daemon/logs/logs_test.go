package logs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var everything = Query{Stdout: true, Stderr: true, Tail: -1}

func collect(t *testing.T, path string, q Query) []string {
	t.Helper()
	var lines []string
	err := Read(t.Context(), path, q, nil, func(e Entry) error {
		lines = append(lines, e.Line)
		return nil
	})
	require.NoError(t, err)
	return lines
}

func write(t *testing.T, w *LineWriter, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		_, err := fmt.Fprintf(w, "line %d\n", i)
		require.NoError(t, err)
	}
}

func TestTailOverRotatedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x-json.log")
	w, err := NewWriter(path, 700, 3)
	require.NoError(t, err)
	out := w.Stream("stdout")
	write(t, out, 0, 25)
	require.FileExists(t, path+".1")
	require.FileExists(t, path+".2")
	require.NoFileExists(t, path+".3")

	all := collect(t, path, everything)
	require.Equal(t, "line 24\n", all[len(all)-1])
	for _, n := range []int{0, 1, 2, 5, 12, len(all), len(all) + 7} {
		q := everything
		q.Tail = n
		want := all[max(0, len(all)-n):]
		require.Equal(t, strings.Join(want, ""), strings.Join(collect(t, path, q), ""), "tail %d", n)
	}
}

func TestStreamsAndTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var data []byte
	for i, stream := range []string{"stdout", "stderr", "stdout", "stderr"} {
		var err error
		data, err = Entry{Line: fmt.Sprint(i), Stream: stream, Time: base.Add(time.Duration(i) * time.Second)}.Encode(data)
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(path, append(data, "\x00\x00{broken\n"...), 0o600))
	for name, row := range map[string]struct {
		q    Query
		want []string
	}{
		"everything": {everything, []string{"0", "1", "2", "3"}},
		"stderr":     {Query{Stderr: true, Tail: -1}, []string{"1", "3"}},
		"since":      {Query{Stdout: true, Stderr: true, Tail: -1, Since: base.Add(2 * time.Second)}, []string{"2", "3"}},
		"until":      {Query{Stdout: true, Stderr: true, Tail: -1, Until: base.Add(time.Second)}, []string{"0", "1"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, row.want, collect(t, path, row.q)) })
	}
}

func TestLongAndUnfinishedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := NewWriter(path, 0, 1)
	require.NoError(t, err)
	out := w.Stream("stdout")
	long := strings.Repeat("x", maxLine+5)
	_, err = out.Write([]byte(long + "\nprompt> "))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.Equal(t, []string{long[:maxLine], "xxxxx\n", "prompt> "}, collect(t, path, everything))
}

// A reader that follows sees each line once, in order, over rotations, and ends after the last one.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := NewWriter(path, 2000, 20)
	require.NoError(t, err)
	out := w.Stream("stdout")
	write(t, out, 0, 10)
	const total = 600
	ended := make(chan struct{})
	go func() {
		for i := 10; i < total; i++ {
			_, _ = fmt.Fprintf(out, "line %d\n", i)
			if i%50 == 0 {
				time.Sleep(2 * time.Millisecond)
			}
		}
		close(ended)
	}()
	var got []string
	q := everything
	q.Follow = true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, Read(ctx, path, q, ended, func(e Entry) error {
		got = append(got, e.Line)
		return nil
	}))
	require.NoError(t, ctx.Err(), "it must end by itself")
	for i := range total {
		require.Less(t, i, len(got), "lines were lost at the end")
		require.Equal(t, fmt.Sprintf("line %d\n", i), got[i])
	}
	require.Len(t, got, total)
}

func TestFollowWaitsForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	lines := make(chan string, 10)
	done := make(chan error, 1)
	ended := make(chan struct{})
	q := everything
	q.Follow = true
	go func() {
		done <- Read(t.Context(), path, q, ended, func(e Entry) error { lines <- e.Line; return nil })
	}()
	time.Sleep(5 * time.Millisecond)
	w, err := NewWriter(path, 0, 1)
	require.NoError(t, err)
	write(t, w.Stream("stdout"), 0, 1)
	require.Equal(t, "line 0\n", <-lines)
	close(ended)
	require.NoError(t, <-done)
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Framer{W: &b}.Write(Stderr, []byte("oops")))
	frame := b.Bytes()
	require.Equal(t, []byte{2, 0, 0, 0}, frame[:4])
	require.Equal(t, uint32(4), binary.BigEndian.Uint32(frame[4:8]))
	require.Equal(t, "oops", string(frame[8:]))
	b.Reset()
	require.NoError(t, Framer{W: &b, Raw: true}.Write(Stdout, []byte("tty")))
	require.Equal(t, "tty", b.String())
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}` + "\n"))
	f.Add([]byte("{\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		require.NoError(t, Read(t.Context(), path, Query{Stdout: true, Stderr: true, Tail: 2}, nil, func(Entry) error { return nil }))
	})
}

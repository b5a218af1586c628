//go:build interop

package interop

import (
	"bufio"
	"io"
	"testing"
	"time"
)

// lineReader gives lines with a time limit.
type lineReader struct{ lines chan string }

func newLineReader(r io.Reader) *lineReader {
	l := &lineReader{make(chan string, 1<<16)}
	go func() {
		defer close(l.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			l.lines <- s.Text()
		}
	}()
	return l
}

// next is the next line; it fails the test when none comes within the limit.
func (l *lineReader) next(t *testing.T, limit time.Duration) string {
	t.Helper()
	select {
	case line, ok := <-l.lines:
		if !ok {
			t.Fatal("the output has ended, another line was expected")
		}
		return line
	case <-time.After(limit):
		t.Fatalf("no line within %s", limit)
	}
	return ""
}

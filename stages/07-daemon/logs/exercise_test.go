package logs

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// TestLogsFollow is the test of daemon.logs-follow: `docker logs -f` on a container that prints, pauses, prints and ends.
func TestLogsFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web-json.log")
	w, err := NewWriter(path, 0, 1)
	require.NoError(t, err)
	out := w.Stream("stdout")
	write(t, out, 0, 3)
	f := follow(t, path)
	d := teach.Diagnosis{
		Exercise: "daemon.logs-follow", Title: "docker logs -f shows each line once, as it is written, and ends with the container",
		Did:  "wrote 3 lines to web-json.log, let your follow() read, paused 0.1 s, wrote 3 more",
		Read: "docs/07-daemon.md#logs", Try: "tail -F FILE    and, in another terminal: inotifywait -m DIRECTORY",
	}
	f.expect(3)
	time.Sleep(100 * time.Millisecond)
	select {
	case err := <-f.done:
		teach.Begun(t, err)
		d.Code = "DAEMON-LOGS-1"
		d.Saw = fmt.Sprintf("follow() returned (%v) after %d lines; the container still runs", err, f.count())
		d.Want = "it waits for more"
		d.Means = "the end of the file is not the end of the log: read(2) gives 0 bytes at the end of a file that will grow. Only the end of the container, or of the client's patience, ends a follow."
		teach.Fail(t, d)
	default:
	}
	write(t, out, 3, 6)
	if !f.expect(6) {
		d.Code = "DAEMON-LOGS-2"
		d.Saw = fmt.Sprintf("%d lines, one second after the last was written", f.count())
		d.Want = "6 lines"
		d.Means = "the wait was not woken by the change of the file, or nothing was read after it woke."
		teach.Fail(t, d)
	}
	theEnd(t, path, d)
}

// theEnd: a container's last words and its end come at the same moment, many times over.
func theEnd(t *testing.T, path string, d teach.Diagnosis) {
	t.Helper()
	for try := range 1000 { // each loses the race with a few per cent
		own := fmt.Sprintf("%s-%d", path, try)
		w, err := NewWriter(own, 0, 1)
		require.NoError(t, err)
		f := follow(t, own)
		write(t, w.Stream("stdout"), 0, 20)
		close(f.ended)
		select {
		case err := <-f.done:
			require.NoError(t, err)
		case <-time.After(2 * time.Second):
			d.Code = "DAEMON-LOGS-3"
			d.Saw = "follow() goes on 2 s after the container has ended"
			d.Want = "it returns"
			d.Means = "nothing in the wait listens to the end of the container."
			teach.Fail(t, d)
		}
		if n := f.count(); n != 20 {
			d.Code = "DAEMON-LOGS-4"
			d.Did = "wrote 20 lines and ended the container at once, 1000 times"
			d.Saw = "follow() returned before the last lines had come out"
			d.Want = "20 of 20, every time"
			d.Means = "everything was written before the end was told, but the end was seen before the last lines were read. Two things became true at once and select picked one of them."
			d.Try = "go test ./logs -run TestLogsFollow -count=20"
			teach.Fail(t, d)
		}
	}
}

// follower runs a Read in the background and counts.
type follower struct {
	lines chan string
	done  chan error
	ended chan struct{}
}

func follow(t *testing.T, path string) *follower {
	t.Helper()
	f := &follower{lines: make(chan string, 1000), done: make(chan error, 1), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	q := everything
	q.Follow = true
	go func() {
		f.done <- Read(ctx, path, q, f.ended, func(e Entry) error { f.lines <- e.Line; return nil })
	}()
	return f
}

func (f *follower) count() int { return len(f.lines) }

// expect waits up to a second until n lines have come.
func (f *follower) expect(n int) bool {
	for range 1000 {
		if f.count() >= n {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

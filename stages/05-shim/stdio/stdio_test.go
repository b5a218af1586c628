package stdio

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func streams(t *testing.T) *Streams {
	t.Helper()
	return New(Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Patient: 100 * time.Millisecond})
}

// feed opens a set, lets a shell be the container, and begins.
func feed(t *testing.T, s *Streams, r Request, script string) (*Set, *exec.Cmd) {
	t.Helper()
	set, err := s.Open(r)
	require.NoError(t, err)
	t.Cleanup(set.Close)
	cmd := exec.Command("/bin/sh", "-c", script)
	in, out, errOut := set.Child()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errOut
	require.NoError(t, cmd.Start())
	require.NoError(t, set.Begin())
	return set, cmd
}

func TestDrainDoesNotWaitForGrandchildren(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	set, cmd := feed(t, streams(t), Request{Stdout: "json-file://" + log}, "sleep 5 & echo pid $!; head -c 300000 /dev/zero | tr '\\0' a; echo; echo last")
	require.NoError(t, cmd.Wait())
	began := time.Now()
	require.True(t, set.Drain(3*time.Second))
	require.Less(t, time.Since(began), time.Second, "sleep still holds the pipe; what counts is what was written")
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `"log":"last\n"`)
	require.Equal(t, 300000, strings.Count(strings.ReplaceAll(string(data), "stream", ""), "a")-1)
}

func TestDrainIsBoundedWhenNobodyReads(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "out")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	set, cmd := feed(t, streams(t), Request{Stdout: pipe}, "head -c 100000 /dev/zero")
	require.NoError(t, cmd.Wait())
	require.False(t, set.Drain(100*time.Millisecond))
	reader, err := os.Open(pipe) // late, and still nothing is lost
	require.NoError(t, err)
	defer reader.Close()
	n, err := io.Copy(io.Discard, reader)
	require.NoError(t, err)
	require.EqualValues(t, 100000, n)
	require.True(t, set.Drain(time.Second))
}

func newTee(t *testing.T) *tee {
	t.Helper()
	show, err := openTee(filepath.Join(t.TempDir(), "tee"), 100*time.Millisecond, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { show.Close() })
	return show
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	n, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestTeeWithoutAReaderDoesNotWait(t *testing.T) {
	show := newTee(t)
	began := time.Now()
	for range 100 {
		write(t, show, strings.Repeat("x", 64<<10))
	}
	require.Less(t, time.Since(began), time.Second)
}

func TestTeeReaderSeesItsOwnTimeOnly(t *testing.T) {
	show := newTee(t)
	write(t, show, "before\n")
	first, err := os.Open(show.path)
	require.NoError(t, err)
	write(t, show, "unread\n")
	require.NoError(t, first.Close())
	write(t, show, "nobody\n")
	second, err := os.Open(show.path)
	require.NoError(t, err)
	defer second.Close()
	write(t, show, "after\n")
	require.NoError(t, show.Close())
	got, err := io.ReadAll(second)
	require.NoError(t, err)
	require.Equal(t, "after\n", string(got))
}

func TestTeeDropsAStoppedReader(t *testing.T) {
	show := newTee(t)
	stopped, err := os.Open(show.path)
	require.NoError(t, err)
	defer stopped.Close()
	began := time.Now()
	write(t, show, strings.Repeat("x", 200<<10)) // more than a pipe holds
	took := time.Since(began)
	require.Greater(t, took, show.patient/2)
	require.Less(t, took, 10*show.patient)
	began = time.Now()
	write(t, show, strings.Repeat("y", 200<<10))
	require.Less(t, time.Since(began), show.patient, "it is waited for once")

	left, err := io.ReadAll(stopped) // what was in the pipe, and then the end
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", len(left)), string(left))

	next, err := os.Open(show.path)
	require.NoError(t, err)
	defer next.Close()
	write(t, show, "hello\n")
	buf := make([]byte, 100)
	n, err := next.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(buf[:n]))
}

func TestTeeWaitsForASlowReader(t *testing.T) {
	show := newTee(t)
	r, err := os.Open(show.path)
	require.NoError(t, err)
	defer r.Close()
	total := make(chan int)
	go func() {
		sum, buf := 0, make([]byte, 8<<10)
		for {
			n, err := r.Read(buf)
			sum += n
			if err != nil {
				total <- sum
				return
			}
			time.Sleep(10 * time.Millisecond) // slower than patient for the whole, but never still
		}
	}()
	write(t, show, strings.Repeat("x", 256<<10))
	require.NoError(t, show.Close())
	require.Equal(t, 256<<10, <-total)
}

func TestAFileInTheTeesPlaceIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(file, link))
	for _, path := range []string{file, link} {
		_, err := streams(t).Open(Request{Stdout: "none://?fifo=" + path})
		require.ErrorContains(t, err, path)
	}
}

func TestNothingStaysOpen(t *testing.T) {
	before := descriptors(t)
	s := streams(t)
	dir := t.TempDir()
	for range 20 {
		set, err := s.Open(Request{
			Stdout: "json-file://" + dir + "/log?fifo=" + dir + "/a",
			Stderr: "json-file://" + dir + "/log?fifo=" + dir + "/b",
		})
		require.NoError(t, err)
		set.Close()
		_, err = s.Open(Request{Stdout: "file://" + dir + "/x", Stderr: "/nowhere/pipe"})
		require.Error(t, err)
		set, err = s.Open(Request{Terminal: true, Stdout: "none://?fifo=" + dir + "/a"})
		require.NoError(t, err)
		set.Close()
	}
	require.Equal(t, before, descriptors(t))
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

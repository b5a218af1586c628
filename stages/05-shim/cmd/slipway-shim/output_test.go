package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestChattyWithNobodyReading(t *testing.T) {
	const lines = 400_000
	h := newHost(t, fmt.Sprintf("/bin/busybox seq 1 %d || seq 1 %d", lines, lines), nil)
	log := filepath.Join(h.dir, "c1-json.log")
	uri := "json-file://" + log + "?fifo=" + filepath.Join(h.dir, "tee")
	began := time.Now()
	h.run(stdioURIs{out: uri, err: uri})
	require.Equal(t, 0, h.wait(""))
	t.Logf("%d lines took %s", lines, time.Since(began))
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	next := 1
	for line := range strings.Lines(string(data)) {
		var entry struct{ Log, Stream string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		if want := strconv.Itoa(next) + "\n"; entry.Log != want || entry.Stream != "stdout" {
			t.Fatalf("line %d is %q on %s", next, entry.Log, entry.Stream)
		}
		next++
	}
	require.Equal(t, lines+1, next, "when the exit is told, every byte written before is in the log")
}

// slowly is output that a late reader holds up: more than its pipe (64 KiB) holds, and less than would
// hold up the program itself, which has a pipe of the same size before it.
const slowly = "head -c 110000 /dev/zero | tr '\\0' x; echo; echo last"

// lateReader opens a tee and reads it after a while.
func lateReader(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 5*time.Second, time.Millisecond)
	reader, err := os.Open(path)
	require.NoError(t, err)
	var reading sync.WaitGroup
	reading.Go(func() {
		time.Sleep(400 * time.Millisecond)
		io.Copy(io.Discard, reader)
	})
	t.Cleanup(func() { reading.Wait(); reader.Close() })
}

func TestTheLastOutputIsLoggedBeforeTheEndIsTold(t *testing.T) {
	h := newHost(t, slowly, nil)
	h.start()
	log, tee := filepath.Join(h.dir, "log"), filepath.Join(h.dir, "tee")
	require.NoError(t, h.create(stdioURIs{out: "json-file://" + log + "?fifo=" + tee}))
	lateReader(t, tee)
	_, err := h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, 0, h.wait(""))
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(data), `"log":"last\n"`)
}

func TestAnExecWhoseOutputIsHeldUpStillEndsFirst(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	tee := filepath.Join(h.dir, "tee")
	require.NoError(t, unix.Mkfifo(tee, 0o600))
	lateReader := make(chan struct{})
	go func() {
		defer close(lateReader)
		reader, err := os.Open(tee)
		if err == nil {
			time.Sleep(500 * time.Millisecond)
			io.Copy(io.Discard, reader)
			reader.Close()
		}
	}()
	require.NoError(t, h.exec("e1", stdioURIs{out: tee}, "/bin/sh", "-c", slowly+"; exec sleep 60"))
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, h.kill(unix.SIGKILL))
	require.Equal(t, 137, h.wait(""))
	h.events.want("create", "start", "exec-added", "exec-started", "exit e1 137", "exit c1 137")
	_, err := h.delete("")
	require.NoError(t, err)
	<-lateReader
}

func TestAReaderComesDiesAndComesBack(t *testing.T) {
	h := newHost(t, "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.005; done", nil)
	tee := filepath.Join(h.dir, "tee")
	log := filepath.Join(h.dir, "log")
	h.run(stdioURIs{out: "json-file://" + log + "?fifo=" + tee})
	for range 3 {
		reader, err := os.Open(tee)
		require.NoError(t, err)
		n, err := reader.Read(make([]byte, 64))
		require.NoError(t, err)
		require.Positive(t, n)
		require.NoError(t, reader.Close())
	}
	reader, err := os.Open(tee)
	require.NoError(t, err)
	defer reader.Close()
	require.Equal(t, 0, h.wait(""))
	buf := make([]byte, 64<<10)
	var last string
	for {
		n, err := reader.Read(buf)
		if err != nil {
			break // end of file: the output has ended
		}
		last = string(buf[:n])
	}
	require.True(t, strings.HasSuffix(last, "line 299\n"), "%q", last)
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, 300, strings.Count(string(data), "\n"))
}

func TestPlainPipesAndStdin(t *testing.T) {
	h := newHost(t, "read a; echo got $a; read b || echo end; echo bad >&2", nil)
	var pipes [3]string
	for i := range pipes {
		pipes[i] = filepath.Join(h.dir, strconv.Itoa(i))
		require.NoError(t, unix.Mkfifo(pipes[i], 0o600))
	}
	h.run(stdioURIs{in: pipes[0], out: pipes[1], err: "fifo://" + pipes[2]})
	in, err := os.OpenFile(pipes[0], os.O_WRONLY, 0)
	require.NoError(t, err)
	out, err := os.Open(pipes[1])
	require.NoError(t, err)
	defer out.Close()
	errOut, err := os.Open(pipes[2])
	require.NoError(t, err)
	defer errOut.Close()
	_, err = in.WriteString("x\n")
	require.NoError(t, err)
	require.NoError(t, in.Close())
	time.Sleep(50 * time.Millisecond)
	state, err := h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, task.Status_RUNNING, state.Status, "a client that goes is not the end of stdin")
	_, err = h.shim.CloseIO(t.Context(), &api.CloseIORequest{ID: h.id, Stdin: true})
	require.NoError(t, err)
	require.Equal(t, 0, h.wait(""))
	buf := make([]byte, 100)
	n, err := out.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "got x\nend\n", string(buf[:n]))
	n, err = errOut.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "bad\n", string(buf[:n]))
}

func TestFileOutputIsAppended(t *testing.T) {
	h := newHost(t, "echo more", nil)
	path := filepath.Join(h.dir, "out")
	require.NoError(t, os.WriteFile(path, []byte("some\n"), 0o600))
	h.run(stdioURIs{out: "file://" + path})
	require.Equal(t, 0, h.wait(""))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "some\nmore\n", string(data))
}

func TestLoggingProgram(t *testing.T) {
	h := newHost(t, "echo out; echo err >&2", nil)
	program := filepath.Join(h.dir, "logger")
	script := `#!/bin/sh
exec 5>&-
(cat <&3 | sed s/^/1:/; cat <&4 | sed s/^/2:/; echo "$1=$2 $CONTAINER_ID $CONTAINER_NAMESPACE") >` + h.dir + `/logged
`
	require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
	uri := "binary://" + program + "?k=v"
	h.run(stdioURIs{out: uri, err: uri})
	require.Equal(t, 0, h.wait(""))
	_, err := h.delete("") // waits for the program
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(h.dir, "logged"))
	require.NoError(t, err)
	require.Equal(t, "1:out\n2:err\nk=v c1 test\n", string(data))
}

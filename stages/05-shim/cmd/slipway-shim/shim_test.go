package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/05-shim/launch"
	"github.com/slipway-engine/slipway/stages/05-shim/record"
)

func TestALife(t *testing.T) {
	h := newHost(t, "exit 7", nil)
	h.start()
	require.NoError(t, h.create(stdioURIs{}))
	state, err := h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, task.Status_CREATED, state.Status)

	var waiting sync.WaitGroup
	for range 5 {
		waiting.Go(func() { require.Equal(t, 7, h.wait("")) })
	}
	_, err = h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
	require.NoError(t, err)
	waiting.Wait()
	h.events.want("create", "start", "exit c1 7")

	exit, err := record.Read(h.bundle, "")
	require.NoError(t, err)
	require.Equal(t, int(state.Pid), exit.Pid)
	require.Equal(t, 7, exit.Status)
	require.WithinDuration(t, time.Now(), exit.ExitedAt, time.Minute)

	state, err = h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(t, err)
	require.Equal(t, task.Status_STOPPED, state.Status)
	require.EqualValues(t, 7, state.ExitStatus)

	deleted, err := h.delete("")
	require.NoError(t, err)
	require.EqualValues(t, 7, deleted.ExitStatus)
	h.events.want("create", "start", "exit c1 7", "delete")

	_, err = h.shim.Shutdown(t.Context(), &api.ShutdownRequest{ID: h.id})
	require.NoError(t, err)
	h.reapShim()
	require.NoFileExists(t, strings.TrimPrefix(h.address, "unix://"))
}

// TestRefusals: each has its code, so that a manager can tell them apart.
func TestRefusals(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	ctx := t.Context()
	for _, row := range []struct {
		name string
		call func() error
		code codes.Code
		text string
	}{
		{"create twice", func() error { return h.create(stdioURIs{}) }, codes.AlreadyExists, "container c1: already exists"},
		{"start twice", func() error { _, err := h.shim.Start(ctx, &api.StartRequest{ID: "c1"}); return err }, codes.FailedPrecondition, "started before"},
		{"delete while it runs", func() error { _, err := h.delete(""); return err }, codes.FailedPrecondition, "kill it first"},
		{"unknown container", func() error { _, err := h.shim.State(ctx, &api.StateRequest{ID: "nix"}); return err }, codes.NotFound, "container nix: not found"},
		{"unknown exec", func() error { _, err := h.shim.State(ctx, &api.StateRequest{ID: "c1", ExecID: "nix"}); return err }, codes.NotFound, "process nix in container c1"},
		{"exec of nothing", func() error { return h.exec("e1", stdioURIs{}, "missing") }, codes.Unknown, "executable file not found"},
		{"exec id with a path", func() error { return h.exec("../e1", stdioURIs{}, "true") }, codes.InvalidArgument, "no slash"},
		{"stdio nobody knows", func() error { return h.exec("e2", stdioURIs{out: "ftp://x/y"}, "true") }, codes.Unknown, `stdout: stdio address`},
		{"checkpoint to nowhere", func() error {
			_, err := h.shim.Checkpoint(ctx, &api.CheckpointTaskRequest{ID: "c1"})
			return err
		}, codes.InvalidArgument, "is not absolute"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call()
			require.Equal(t, row.code, status.Code(err), "%v", err)
			require.ErrorContains(t, err, row.text)
		})
	}
	require.NoError(t, h.kill(unix.SIGKILL))
	require.Equal(t, 137, h.wait(""))
	err := h.kill(unix.SIGKILL)
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "process already finished")
}

func TestCreateFailsInTheRuntimesWords(t *testing.T) {
	h := newHost(t, "true", map[string]string{"fake.create-error": `exec: "x": executable file not found in $PATH`})
	h.start()
	err := h.create(stdioURIs{})
	require.ErrorContains(t, err, `OCI runtime create failed: exec: "x": executable file not found in $PATH`)
	h.events.want()
	_, err = h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.Equal(t, codes.NotFound, status.Code(err), "the id is free again")
}

func TestManyShortExecs(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	for i := range 100 {
		id := "e" + strconv.Itoa(i)
		require.NoError(t, h.exec(id, stdioURIs{}, "/bin/sh", "-c", fmt.Sprint("exit ", i%4)))
		require.Equal(t, i%4, h.wait(id))
		answer, err := h.delete(id)
		require.NoError(t, err)
		require.EqualValues(t, i%4, answer.ExitStatus)
	}
	leftovers, err := filepath.Glob(filepath.Join(h.bundle, "*e[0-9]*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

func TestExecsEndBeforeTheirContainer(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	require.NoError(t, h.exec("e1", stdioURIs{}, "sleep", "60"))
	require.NoError(t, h.kill(unix.SIGKILL))
	require.Equal(t, 137, h.wait(""))
	h.events.want("create", "start", "exec-added", "exec-started", "exit e1 137", "exit c1 137")
	require.Equal(t, codes.FailedPrecondition, status.Code(h.exec("e2", stdioURIs{}, "true")))
}

func TestManagerAwayWhileItHappens(t *testing.T) {
	h := newHost(t, "sleep 0.2; exit 3", nil)
	h.run(stdioURIs{})
	h.events.want("create", "start")
	h.events.down()
	require.NoError(t, h.conn.Close())
	require.Eventually(t, func() bool {
		_, err := record.Read(h.bundle, "")
		return err == nil
	}, 5*time.Second, 10*time.Millisecond, "the record needs no manager")
	h.events.up()
	h.connect() // by the address it was given; a restarted manager reads the bundle's
	address, err := os.ReadFile(filepath.Join(h.bundle, "address"))
	require.NoError(t, err)
	require.Equal(t, h.address, string(address))
	require.Equal(t, 3, h.wait(""))
	h.events.want("create", "start", "exit c1 3")
}

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

func TestAnEndIsToldAfterTheStart(t *testing.T) {
	h := newHost(t, "exit 3", map[string]string{"fake.slow-start": "200ms"}) // it ends before start returns
	h.run(stdioURIs{})
	require.Equal(t, 3, h.wait(""))
	h.events.want("create", "start", "exit c1 3")
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

// TestShimIsKilled: the container's end is found out by `delete`, from the record or by doing it.
func TestShimIsKilled(t *testing.T) {
	for _, row := range []struct {
		name, script string
		ended        bool
		want         uint32
	}{
		{"while it runs", "exec sleep 60", false, 137},
		{"after it ended", "exit 5", true, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHost(t, row.script, nil)
			h.run(stdioURIs{})
			if row.ended {
				require.Equal(t, row.want, uint32(h.wait("")))
			}
			require.NoError(t, unix.Kill(h.pid, unix.SIGKILL))
			h.reapShim()
			out, err := h.command("delete").Output()
			require.NoError(t, err)
			var answer api.DeleteResponse
			require.NoError(t, proto.Unmarshal(out, &answer))
			require.Equal(t, row.want, answer.ExitStatus)
			require.NotZero(t, answer.Pid)
			require.NoFileExists(t, strings.TrimPrefix(h.address, "unix://"))
			require.False(t, alive(int(answer.Pid)))
		})
	}
}

// alive reads the state: a zombie is dead (proc_pid_stat(5)).
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(data), ") Z ") && !strings.Contains(string(data), ") X ") // zombie, and being reaped
}

func TestSidecar(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	annotation := func(script string) map[string]string {
		value, err := json.Marshal(map[string]any{"args": []string{"/bin/sh", "-c", script}})
		require.NoError(t, err)
		return map[string]string{"io.slipway.sidecar": string(value)}
	}
	helper := annotation(`echo $$ >` + file + `; printf '0\n' >&3; exec 3>&-; exec sleep 60`)
	pid := func() int {
		n, err := readNumber(file)
		require.NoError(t, err)
		return n
	}
	t.Run("ends with the container", func(t *testing.T) {
		h := newHost(t, "exec sleep 60", helper)
		h.run(stdioURIs{})
		require.True(t, alive(pid()))
		require.NoError(t, h.kill(unix.SIGKILL))
		h.wait("")
		require.False(t, alive(pid()), "ports must be free when the exit is told")
	})
	t.Run("ends with a shim that is killed", func(t *testing.T) {
		h := newHost(t, "exec sleep 60", helper)
		h.run(stdioURIs{})
		require.True(t, alive(pid()))
		require.NoError(t, unix.Kill(h.pid, unix.SIGKILL))
		require.Eventually(t, func() bool { return !alive(pid()) }, 2*time.Second, 10*time.Millisecond)
	})
	t.Run("fails start in its own words", func(t *testing.T) {
		h := newHost(t, "true", annotation(`printf '1\nport 80: address already in use\n' >&3`))
		h.start()
		require.NoError(t, h.create(stdioURIs{}))
		_, err := h.shim.Start(t.Context(), &api.StartRequest{ID: h.id})
		require.ErrorContains(t, err, "port 80: address already in use")
	})
}

func TestSignalsDoNotEndAShimWithContainers(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE} {
		require.NoError(t, unix.Kill(h.pid, sig))
	}
	time.Sleep(100 * time.Millisecond)
	_, err := h.shim.State(t.Context(), &api.StateRequest{ID: h.id})
	require.NoError(t, err)
}

func TestSocketIsPrivate(t *testing.T) {
	h := newHost(t, "true", nil)
	h.start()
	socket := strings.TrimPrefix(h.address, "unix://")
	info, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestParallelExecsLeaveNothingBehind(t *testing.T) {
	h := newHost(t, "exec sleep 60", nil)
	h.run(stdioURIs{})
	one := func(id string, code int) {
		uri := "json-file://" + filepath.Join(h.dir, id)
		if err := h.exec(id, stdioURIs{out: uri, err: uri}, "/bin/sh", "-c", fmt.Sprint("echo ", id, "; exit ", code)); err != nil {
			t.Errorf("exec %s: %v", id, err)
			return
		}
		answer, err := h.shim.Wait(t.Context(), &api.WaitRequest{ID: h.id, ExecID: id})
		if err != nil || int(answer.ExitStatus) != code {
			t.Errorf("exec %s: status %d, %v", id, answer.GetExitStatus(), err)
		}
		data, err := os.ReadFile(filepath.Join(h.dir, id))
		if err != nil || !strings.Contains(string(data), `"log":"`+id+`\n"`) {
			t.Errorf("exec %s: log %q, %v", id, data, err)
		}
		if _, err := h.delete(id); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	one("warm-up", 0)
	before := h.descriptors()
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for i := range 10 {
				one(fmt.Sprintf("e%d-%d", g, i), (g+i)%5)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, h.descriptors(), before)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", h.pid, h.pid))
	require.NoError(t, err)
	require.Len(t, strings.Fields(string(children)), 1, "the container's init and no zombie")
}

func (h *host) descriptors() int {
	h.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.pid))
	require.NoError(h.t, err)
	return len(entries)
}

// TestDeleteAfterACutStart: a start that was killed before it named its socket leaves none behind.
func TestDeleteAfterACutStart(t *testing.T) {
	h := newHost(t, "true", nil)
	socket := launch.SocketPath(filepath.Join(h.dir, "s"), "/nowhere", namespace, h.id)
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o700))
	l, err := launch.Listen(socket)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.FileExists(t, socket)
	require.NoError(t, h.command("delete").Run())
	require.NoFileExists(t, socket)
}

// TestPod: containers with the same sandbox share a shim, which stays until the last is deleted.
func TestPod(t *testing.T) {
	pod := map[string]string{"io.kubernetes.cri.sandbox-id": "pod1"}
	first := newHost(t, "exit 1", pod)
	first.run(stdioURIs{})
	second := newHost(t, "exit 2", pod)
	second.id, second.dir = "c2", first.dir // the same place for sockets
	out, err := second.command("start").Output()
	require.NoError(t, err)
	require.Equal(t, first.address, string(out))
	second.address = string(out)
	second.connect()
	require.NoError(t, second.create(stdioURIs{}))
	_, err = second.shim.Start(t.Context(), &api.StartRequest{ID: "c2"})
	require.NoError(t, err)
	require.Equal(t, 1, first.wait(""))
	require.Equal(t, 2, second.wait(""))
	_, err = first.delete("")
	require.NoError(t, err)
	_, err = first.shim.Shutdown(t.Context(), &api.ShutdownRequest{ID: "c1"})
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	_, err = second.delete("")
	require.NoError(t, err, "the shim has stayed for the other")
}

func TestVersionThreeIsTheSameService(t *testing.T) {
	h := newHost(t, "true", nil)
	h.start()
	conn, err := net.Dial("unix", strings.TrimPrefix(h.address, "unix://"))
	require.NoError(t, err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	var answer api.ConnectResponse
	require.NoError(t, client.Call(t.Context(), "containerd.task.v3.Task", "Connect", &api.ConnectRequest{ID: h.id}, &answer))
	require.Equal(t, h.pid, int(answer.ShimPid))
}

func TestInfoAndVersion(t *testing.T) {
	out, err := exec.Command(program("slipway-shim"), "-v").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "Version:")
	out, err = exec.Command(program("slipway-shim"), "-info").Output()
	require.NoError(t, err)
	var info types.RuntimeInfo
	require.NoError(t, proto.Unmarshal(out, &info))
	require.Equal(t, "io.containerd.runc.v2", info.Name)
}

func TestWrongUse(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"start", "-namespace and -id are needed"},
		{"-namespace n -id i dance", `unknown action "dance": want start or delete`},
		{"-namespace n", `unknown action ""`},
	} {
		out, err := exec.Command(program("slipway-shim"), strings.Fields(row.args)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), row.want)
	}
}

package main

import (
	"context"
	"encoding/json"
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
	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// host stands where a manager stands: it has a bundle, a place for events, and starts a shim.
type host struct {
	t       *testing.T
	dir     string
	bundle  string
	id      string
	runtime string
	events  *eventServer
	address string
	shim    api.TTRPCTaskService
	conn    net.Conn
	pid     int
}

const namespace = "test"

// newHost makes a bundle for the fake runtime that runs a shell script.
func newHost(t *testing.T, script string, annotations map[string]string) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir(), id: "c1", runtime: program(fakeRuntimeName)}
	h.bundle = filepath.Join(h.dir, "bundle")
	require.NoError(t, os.MkdirAll(filepath.Join(h.bundle, "rootfs"), 0o700))
	config, err := json.Marshal(map[string]any{
		"process":     fakeProcess{Args: []string{"/bin/sh", "-c", script}},
		"annotations": annotations,
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(h.bundle, "config.json"), config, 0o600))
	h.events = newEventServer(t, h.bundle)
	return h
}

// args are the protocol's flags.
func (h *host) args(action ...string) []string {
	return append([]string{
		"-namespace", namespace, "-id", h.id, "-address", "/nowhere", "-bundle", h.bundle,
		"-runtime-root", filepath.Join(h.dir, "r"),
	}, action...)
}

func (h *host) command(action string) *exec.Cmd {
	cmd := exec.Command(program("slipway-shim"), h.args(action)...)
	cmd.Dir = h.bundle
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "TTRPC_ADDRESS="+h.events.path, "SLIPWAY_SHIM_SOCKETS="+filepath.Join(h.dir, "s"))
	return cmd
}

// start runs `slipway-shim start` and connects.
func (h *host) start() {
	h.t.Helper()
	out, err := h.command("start").Output()
	require.NoError(h.t, err)
	h.address = string(out)
	h.connect()
	answer, err := h.shim.Connect(h.t.Context(), &api.ConnectRequest{ID: h.id})
	require.NoError(h.t, err)
	h.pid = int(answer.ShimPid)
	h.t.Cleanup(h.end)
}

func (h *host) connect() {
	h.t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(h.address, "unix://"))
	require.NoError(h.t, err)
	h.conn = conn
	client := ttrpc.NewClient(conn)
	h.shim = api.NewTTRPCTaskClient(client)
	h.t.Cleanup(func() { client.Close() })
}

// end leaves nothing behind, whatever the test has done.
func (h *host) end() {
	unix.Kill(h.pid, unix.SIGKILL)
	h.reapShim()
	cleanup := h.command("delete")
	require.NoError(h.t, cleanup.Start())
	done := make(chan struct{})
	var reaping sync.WaitGroup
	reaping.Go(func() { reapOrphans(cleanup.Process.Pid, done) })
	err := cleanup.Wait()
	close(done)
	reaping.Wait()
	require.NoError(h.t, err)
}

// reapOrphans does what a manager owes a dead shim: it is the next subreaper, and the kernel keeps
// a pid namespace's init until everybody in it was reaped (pid_namespaces(7)).
func reapOrphans(but int, done <-chan struct{}) {
	for {
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			data, _ := os.ReadFile(list)
			for _, field := range strings.Fields(string(data)) {
				if pid, _ := strconv.Atoi(field); pid != but {
					unix.Wait4(pid, nil, unix.WNOHANG, nil)
				}
			}
		}
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// reapShim waits for the shim's end and takes its zombie.
func (h *host) reapShim() {
	for range 500 {
		pid, err := unix.Wait4(h.pid, nil, unix.WNOHANG, nil)
		if pid == h.pid || err == unix.ECHILD {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Error("the shim did not end")
}

func (h *host) options() *anypb.Any {
	data, err := proto.Marshal(&runc.Options{BinaryName: h.runtime, Root: filepath.Join(h.dir, "r")})
	require.NoError(h.t, err)
	return &anypb.Any{TypeUrl: "containerd.runc.v1.Options", Value: data}
}

type stdioURIs struct {
	in, out, err string
	terminal     bool
}

func (h *host) create(io stdioURIs) error {
	_, err := h.shim.Create(h.t.Context(), &api.CreateTaskRequest{
		ID: h.id, Bundle: h.bundle, Options: h.options(), Terminal: io.terminal, Stdin: io.in, Stdout: io.out, Stderr: io.err,
	})
	return err
}

// run creates and starts the container.
func (h *host) run(io stdioURIs) {
	h.t.Helper()
	h.start()
	require.NoError(h.t, h.create(io))
	_, err := h.shim.Start(h.t.Context(), &api.StartRequest{ID: h.id})
	require.NoError(h.t, err)
}

func (h *host) wait(execID string) int {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	answer, err := h.shim.Wait(ctx, &api.WaitRequest{ID: h.id, ExecID: execID})
	require.NoError(h.t, err)
	return int(answer.ExitStatus)
}

func (h *host) exec(execID string, io stdioURIs, args ...string) error {
	spec, err := json.Marshal(map[string]any{
		"args": args, "cwd": "/", "env": []string{"PATH=/bin"}, "terminal": io.terminal, "user": map[string]int{"uid": 0, "gid": 0},
	})
	require.NoError(h.t, err)
	_, err = h.shim.Exec(h.t.Context(), &api.ExecProcessRequest{
		ID: h.id, ExecID: execID, Spec: &anypb.Any{Value: spec}, Terminal: io.terminal, Stdin: io.in, Stdout: io.out, Stderr: io.err,
	})
	if err != nil {
		return err
	}
	_, err = h.shim.Start(h.t.Context(), &api.StartRequest{ID: h.id, ExecID: execID})
	return err
}

func (h *host) kill(signal syscall.Signal) error {
	_, err := h.shim.Kill(h.t.Context(), &api.KillRequest{ID: h.id, Signal: uint32(signal)})
	return err
}

func (h *host) delete(execID string) (*api.DeleteResponse, error) {
	return h.shim.Delete(h.t.Context(), &api.DeleteRequest{ID: h.id, ExecID: execID})
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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

func TestAnEndIsToldAfterTheStart(t *testing.T) {
	h := newHost(t, "exit 3", map[string]string{"fake.slow-start": "200ms"}) // it ends before start returns
	h.run(stdioURIs{})
	require.Equal(t, 3, h.wait(""))
	h.events.want("create", "start", "exit c1 3")
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

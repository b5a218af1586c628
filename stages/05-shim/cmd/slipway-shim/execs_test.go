package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

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

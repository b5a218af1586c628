package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
)

// TestJudge is the test of mgr.tasks.
func TestJudge(t *testing.T) {
	dial := func(errno error) error {
		return fmt.Errorf("shim: %w", &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", errno)})
	}
	for _, tc := range []struct {
		name     string
		evidence Evidence
		want     Verdict
		code     string
		means    string
	}{
		{"a shim that answers", Evidence{Pid: 7}, Adopt, "MGR-TASKS-1", "it lives and has the container: there is nothing to decide."},
		{
			"nobody listens on the socket",
			Evidence{Dial: dial(unix.ECONNREFUSED)},
			Bury, "MGR-TASKS-2",
			"a unix socket refuses when no process has it open: that shim is dead. Its container is nobody's until somebody cleans up.",
		},
		{"the socket is gone", Evidence{Dial: dial(unix.ENOENT)}, Bury, "MGR-TASKS-2", "the shim removed its socket when it left."},
		{"no address was ever written", Evidence{Address: fs.ErrNotExist, Quiet: time.Hour}, Bury, "MGR-TASKS-2", "the old manager was killed between making the bundle and starting the shim."},
		{
			"no address yet, in a young bundle",
			Evidence{Address: fs.ErrNotExist, Quiet: time.Second},
			Wait, "MGR-TASKS-3",
			"the shim may be starting this very moment, under the hands of the manager that was killed. Take its bundle away, and it runs on with nobody who knows it.",
		},
		{"it died while we asked", Evidence{State: ttrpc.ErrClosed}, Bury, "MGR-TASKS-2", "the kernel closed its end of the connection."},
		{
			"it has no such container",
			Evidence{State: status.Error(codes.NotFound, "no")},
			Bury, "MGR-TASKS-2",
			"the old manager was killed before it said create. Nobody was told that the task exists.",
		},
		{
			"it does not answer in time",
			Evidence{State: context.DeadlineExceeded},
			Wait, "MGR-TASKS-3",
			"a stopped or busy shim is not a dead one, and its container may be serving customers. Burying kills it.",
		},
		{
			"we have no descriptors left",
			Evidence{Dial: dial(unix.EMFILE)},
			Wait, "MGR-TASKS-3",
			"the trouble is ours. With this verdict a manager short of descriptors would kill every container at its start.",
		},
		{"we may not", Evidence{Dial: dial(unix.EACCES)}, Wait, "MGR-TASKS-3", "the trouble is ours, not the shim's."},
		{"the record cannot be read", Evidence{Address: unix.EIO}, Wait, "MGR-TASKS-3", "a disk that fails says nothing about the shim."},
		{"it answers with another error", Evidence{State: status.Error(codes.Internal, "oops")}, Wait, "MGR-TASKS-3", "whoever answers is alive."},
	} {
		// The first wrong row ends the test: one explanation at a time.
		got, because := Judge(tc.evidence)
		teach.Begun(t, because)
		if got != tc.want {
			teach.Fail(t, teach.Diagnosis{
				Exercise: "mgr.tasks", Title: "what to do about a bundle found at start", Code: tc.code,
				Did:  "gave your Judge() this evidence: " + tc.name,
				Saw:  fmt.Sprintf("verdict %q\naddress: %v   dial: %v   state: %v", got, tc.evidence.Address, tc.evidence.Dial, tc.evidence.State),
				Want: fmt.Sprintf("verdict %q", tc.want), Means: tc.means,
				Try:  "kill -STOP the shim of a sleeping container, restart the manager, and look at slipctl tasks ls",
				Read: "docs/06-manager.md#adopt",
			})
		}
	}
}

// fakeShim answers as a shim with one container does.
type fakeShim struct {
	api.TTRPCTaskService // nil: methods that no test calls

	status  uint32
	ended   chan struct{} // closed when the container ends
	refuses error         // of Create
	slow    chan struct{} // not nil: Create is answered when it is closed
	created chan struct{} // not nil: closed when Create has begun
	lost    bool          // it has deleted its container already
	mu      sync.Mutex    // guards calls
	calls   []string      // Delete and Shutdown, in order
	silent  chan struct{} // not nil: do not answer before it is closed
	conns   *mortal
}

// mortal is a listener whose connections can all be ended at once, as the kernel
// does when a process dies. (ttrpc's own Close waits for requests under way.)
type mortal struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (m *mortal) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err == nil {
		m.mu.Lock()
		m.conns = append(m.conns, c)
		m.mu.Unlock()
	}
	return c, err
}

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.Close()
	}
	m.Close()
}

func (f *fakeShim) State(ctx context.Context, r *api.StateRequest) (*api.StateResponse, error) {
	if f.silent != nil {
		select {
		case <-f.silent:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &api.StateResponse{ID: r.ID, Pid: 42}, nil
}

func (f *fakeShim) Create(context.Context, *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	if f.created != nil {
		close(f.created)
		<-f.slow
	}
	if f.refuses != nil {
		return nil, f.refuses
	}
	return &api.CreateTaskResponse{Pid: 42}, nil
}

func (f *fakeShim) Wait(ctx context.Context, _ *api.WaitRequest) (*api.WaitResponse, error) {
	select {
	case <-f.ended:
		return &api.WaitResponse{ExitStatus: f.status, ExitedAt: timestamppb.Now()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Connect tells no pid: this shim is the test itself.
func (f *fakeShim) Connect(context.Context, *api.ConnectRequest) (*api.ConnectResponse, error) {
	return &api.ConnectResponse{}, nil
}

func (f *fakeShim) Delete(context.Context, *api.DeleteRequest) (*api.DeleteResponse, error) {
	f.note("delete")
	if f.lost {
		return nil, status.Error(codes.NotFound, "no such container")
	}
	return &api.DeleteResponse{Pid: 42, ExitStatus: f.status, ExitedAt: timestamppb.Now()}, nil
}

func (f *fakeShim) Shutdown(context.Context, *api.ShutdownRequest) (*emptypb.Empty, error) {
	f.note("shutdown")
	go f.conns.die()
	return &emptypb.Empty{}, nil
}

func (f *fakeShim) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func serveShim(t *testing.T, path string, f *fakeShim) *fakeShim {
	t.Helper()
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	f.ended = make(chan struct{})
	f.conns = &mortal{Listener: l}
	server, err := ttrpc.NewServer()
	require.NoError(t, err)
	api.RegisterTTRPCTaskService(server, f)
	go func() { _ = server.Serve(context.Background(), f.conns) }()
	t.Cleanup(func() { _ = server.Close(); f.conns.die() })
	return f
}

// fakeLauncher starts fakeShims.
type fakeLauncher struct {
	t       *testing.T
	mu      sync.Mutex
	shims   map[string]*fakeShim
	deleted []string
	failure error          // of start
	refuses error          // of the shim's Create
	slow    bool           // the shim's Create waits until it is told to go on
	started chan *fakeShim // not nil: told of each shim
}

func (l *fakeLauncher) Start(_ context.Context, b shim.Bundle, _ string, _ *anypb.Any) (shim.Params, error) {
	if l.failure != nil {
		return shim.Params{}, l.failure
	}
	p := shim.Params{Version: 2, Address: b.Path("s.sock"), Protocol: "ttrpc"}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &fakeShim{refuses: l.refuses}
	if l.slow {
		f.slow, f.created = make(chan struct{}), make(chan struct{})
	}
	l.shims[b.ID] = serveShim(l.t, p.Address, f)
	if l.started != nil {
		l.started <- f
	}
	return p, os.WriteFile(b.Path("address"), []byte(p.Address), 0o600)
}

func (l *fakeLauncher) Delete(_ context.Context, b shim.Bundle) (*api.DeleteResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = append(l.deleted, b.ID)
	return &api.DeleteResponse{Pid: 42, ExitStatus: 137, ExitedAt: timestamppb.Now()}, nil
}

func (l *fakeLauncher) OpenLog(shim.Bundle) (io.Closer, error) { return io.NopCloser(nil), nil }

// heard keeps what was published.
type heard struct{ c chan proto.Message }

func (h heard) Publish(_, _ string, m proto.Message) error { h.c <- m; return nil }

func newTasks(t *testing.T) (*Tasks, *fakeLauncher, heard) {
	t.Helper()
	l := &fakeLauncher{t: t, shims: map[string]*fakeShim{}}
	h := heard{make(chan proto.Message, 100)}
	state, err := os.MkdirTemp("", "s") // short: a socket's path has 108 bytes at most
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(state)) })
	ts := &Tasks{State: state, Launch: l, Events: h, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(ts.Close)
	return ts, l, h
}

func (h heard) exit(t *testing.T) *events.TaskExit {
	t.Helper()
	select {
	case m := <-h.c:
		e, ok := m.(*events.TaskExit)
		require.True(t, ok, "%v", m)
		d, ok := (<-h.c).(*events.TaskDelete)
		require.True(t, ok)
		require.Equal(t, e.ExitStatus, d.ExitStatus)
		return e
	case <-time.After(5 * time.Second):
		t.Fatal("no TaskExit")
		return nil
	}
}

func TestCreateWaitDelete(t *testing.T) {
	ts, l, _ := newTasks(t)
	task, err := ts.Create(t.Context(), Request{Namespace: "ns", ID: "web", Config: []byte("{}")})
	require.NoError(t, err)
	require.EqualValues(t, 42, task.Pid())
	_, err = ts.Create(t.Context(), Request{Namespace: "ns", ID: "web"})
	require.True(t, fault.Is(err, fault.AlreadyExists))

	l.shims["web"].status = 7
	close(l.shims["web"].ended)
	exit, err := task.Wait(t.Context(), "")
	require.NoError(t, err)
	require.EqualValues(t, 7, exit.Status)
	exit, err = ts.Delete(t.Context(), task)
	require.NoError(t, err)
	require.EqualValues(t, 7, exit.Status)
	require.NoDirExists(t, task.Bundle.Dir)
	_, err = ts.Get("ns", "web")
	require.True(t, fault.Is(err, fault.NotFound))
	require.Empty(t, l.deleted, "a shim that left by itself needs no cleaning up")
}

// TestCreateFails: nothing is left behind, and the id is free again.
func TestCreateFails(t *testing.T) {
	ts, l, _ := newTasks(t)
	l.failure = errors.New("no such program")
	_, err := ts.Create(t.Context(), Request{Namespace: "ns", ID: "web"})
	require.ErrorContains(t, err, "no such program")
	found, err := shim.List(ts.State)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, l.deleted, "no shim, nothing to clean up after")

	l.failure, l.refuses = nil, status.Error(codes.NotFound, "exec: no such file")
	_, err = ts.Create(t.Context(), Request{Namespace: "ns", ID: "web"})
	require.Equal(t, codes.NotFound, status.Code(fault.ToGRPC(err)), "the shim's own answer: %v", err)
	require.Equal(t, []string{"web"}, l.deleted)
	found, err = shim.List(ts.State)
	require.NoError(t, err)
	require.Empty(t, found)

	l.refuses = nil
	_, err = ts.Create(t.Context(), Request{Namespace: "ns", ID: "web"})
	require.NoError(t, err)
}

// TestCallerLeavesDuringCreate: the shim's Create is let finish, and undone.
func TestCallerLeavesDuringCreate(t *testing.T) {
	ts, l, _ := newTasks(t)
	l.slow, l.started = true, make(chan *fakeShim, 1)
	ctx, leave := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := ts.Create(ctx, Request{Namespace: "ns", ID: "web", Config: []byte("{}")})
		result <- err
	}()
	f := <-l.started
	<-f.created
	leave()
	time.Sleep(20 * time.Millisecond)
	require.Empty(t, f.calls, "nothing is undone that is not finished")
	close(f.slow)
	require.ErrorIs(t, <-result, context.Canceled)
	require.Equal(t, []string{"delete", "shutdown"}, f.calls)
	found, err := shim.List(ts.State)
	require.NoError(t, err)
	require.Empty(t, found)
}

// TestDeleteAgain: a delete that was cut in half is finished by the next one.
func TestDeleteAgain(t *testing.T) {
	ts, l, _ := newTasks(t)
	task, err := ts.Create(t.Context(), Request{Namespace: "ns", ID: "web", Config: []byte("{}")})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(task.Bundle.Path("exit.json"), []byte(`{"id":"web","pid":42,"status":7}`), 0o600))
	l.shims["web"].lost = true
	exit, err := ts.Delete(t.Context(), task)
	require.NoError(t, err)
	require.EqualValues(t, 7, exit.Status)
	require.Equal(t, []string{"delete", "shutdown"}, l.shims["web"].calls)
	require.NoDirExists(t, task.Bundle.Dir)
}

// TestDeletesAtOnce: the second waits for the first, and says the same.
func TestDeletesAtOnce(t *testing.T) {
	ts, l, _ := newTasks(t)
	task, err := ts.Create(t.Context(), Request{Namespace: "ns", ID: "web", Config: []byte("{}")})
	require.NoError(t, err)
	l.shims["web"].status = 7
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			exit, err := ts.Delete(t.Context(), task)
			require.NoError(t, err)
			require.EqualValues(t, 7, exit.Status)
		})
	}
	both.Wait()
	require.Equal(t, []string{"delete", "shutdown"}, l.shims["web"].calls)
}

// TestShimDies: a waiting client gets the exit that the burial found, the events
// say it, and everything is cleaned up.
func TestShimDies(t *testing.T) {
	ts, l, h := newTasks(t)
	task, err := ts.Create(t.Context(), Request{Namespace: "ns", ID: "web"})
	require.NoError(t, err)
	waited := make(chan shim.Exit, 1)
	go func() {
		exit, err := task.Wait(context.Background(), "")
		if err == nil {
			waited <- exit
		}
		close(waited)
	}()
	time.Sleep(20 * time.Millisecond) // most runs: Wait is under way
	require.NoError(t, os.WriteFile(task.Bundle.Path("exit.json"), []byte(`{"id":"web","pid":42,"status":9}`), 0o600))
	l.shims["web"].conns.die()
	require.EqualValues(t, 9, h.exit(t).ExitStatus, "the shim's own record counts more than its delete")
	exit, ok := <-waited
	require.True(t, ok)
	require.EqualValues(t, 9, exit.Status)
	require.Equal(t, []string{"web"}, l.deleted)
	require.Eventually(t, func() bool { _, err := ts.Get("ns", "web"); return err != nil }, 5*time.Second, time.Millisecond)
	require.NoDirExists(t, task.Bundle.Dir)
}

// TestLoad: a manager that starts adopts who lives, buries who is dead, and is
// not held up by who is silent.
func TestLoad(t *testing.T) {
	ts, _, h := newTasks(t)
	silence := make(chan struct{})
	for id, f := range map[string]*fakeShim{"alive": {}, "silent": {silent: silence}, "dead": nil} {
		b, err := shim.Make(ts.State, "ns", id, nil, "")
		require.NoError(t, err)
		sock := filepath.Join(b.Dir, "s.sock")
		require.NoError(t, os.WriteFile(b.Path("address"), []byte(sock), 0o600))
		if f != nil {
			serveShim(t, sock, f)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	start := time.Now()
	require.NoError(t, ts.Load(ctx))
	require.Less(t, time.Since(start), time.Second, "Load waits for nobody")

	alive, err := ts.Get("ns", "alive")
	require.NoError(t, err)
	_, err = alive.Shim(t.Context())
	require.NoError(t, err)
	teach.Begun(t, err)
	require.EqualValues(t, 42, alive.Pid())
	require.Equal(t, "dead", h.exit(t).ContainerID)

	silent, err := ts.Get("ns", "silent")
	require.NoError(t, err, "it is known while it is silent")
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err = silent.Shim(short)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	close(silence)
	_, err = silent.Shim(t.Context())
	require.NoError(t, err, "and adopted when it speaks")
}

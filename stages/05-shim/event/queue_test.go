package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// manager takes events when it is there.
type manager struct {
	mu   sync.Mutex // guards the fields below
	err  error      // what it answers; nil: it takes them
	got  []string
	idle int
}

func (m *manager) Forward(_ context.Context, e *types.Envelope) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	var oom events.TaskOOM
	if err := proto.Unmarshal(e.Event.Value, &oom); err != nil {
		return err
	}
	m.got = append(m.got, e.Namespace+e.Topic+" "+oom.ContainerID)
	return nil
}

func (m *manager) Idle() { m.mu.Lock(); m.idle++; m.mu.Unlock() }

func (m *manager) answers(err error) { m.mu.Lock(); m.err = err; m.mu.Unlock() }

func (m *manager) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got
}

func publish(q *Queue, id string) { q.Publish("/tasks/oom", &events.TaskOOM{ContainerID: id}) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestDeliveredInOrderWhenTheManagerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{err: errors.New("away")}
		q := NewQueue("ns", m, quiet())
		for i := range 3 {
			publish(q, fmt.Sprint("c", i))
		}
		time.Sleep(time.Hour)
		require.Equal(t, 3, q.Pending())
		m.answers(nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		require.Equal(t, []string{"ns/tasks/oom c0", "ns/tasks/oom c1", "ns/tasks/oom c2"}, m.list())
		require.Zero(t, q.Pending())
		time.Sleep(idleAfter)
		synctest.Wait()
		require.Equal(t, 1, m.idle, "a quiet queue lets its connection go")
		q.Close(time.Second)
	})
}

func TestRefusedEventsDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{err: &RefusedError{errors.New("no such namespace")}}
		q := NewQueue("ns", m, quiet())
		publish(q, "refused")
		time.Sleep(time.Minute)
		m.answers(nil)
		publish(q, "wanted")
		q.Close(time.Second)
		require.Equal(t, []string{"ns/tasks/oom wanted"}, m.list())
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue("ns", &manager{err: errors.New("away")}, quiet())
		publish(q, "c")
		began := time.Now()
		q.Close(3 * time.Second)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestTheOldestGoWhenNobodyComesForVeryLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{err: errors.New("away")}
		q := NewQueue("ns", m, quiet())
		for i := range capacity + 10 {
			publish(q, fmt.Sprint(i))
		}
		require.Equal(t, capacity, q.Pending())
		m.answers(nil)
		q.Close(time.Minute)
		got := m.list()
		require.Equal(t, fmt.Sprint("ns/tasks/oom ", capacity+9), got[len(got)-1])
	})
}

func TestPublishByProgram(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "manager")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >"+dir+"/args; cat >"+dir+"/event\n"), 0o700))
	r, err := reap.New()
	require.NoError(t, err)
	defer r.Close()
	q := NewQueue("ns", &Program{Path: program, Address: "/run/m.sock", Reaper: r}, quiet())
	publish(q, "c1")
	q.Close(5 * time.Second)
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	require.Equal(t, "--address /run/m.sock publish --topic /tasks/oom --namespace ns", strings.TrimSpace(string(args)))
	data, err := os.ReadFile(filepath.Join(dir, "event"))
	require.NoError(t, err)
	require.Contains(t, string(data), "containerd.events.TaskOOM")
}

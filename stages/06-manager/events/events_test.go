package events

import (
	"fmt"
	"testing"

	api "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

func drain(s *Subscription) (topics []string) {
	for {
		select {
		case e, ok := <-s.C:
			if !ok {
				return topics
			}
			topics = append(topics, e.GetNamespace()+e.GetTopic())
		default:
			return topics
		}
	}
}

func TestFilters(t *testing.T) {
	for _, tc := range []struct {
		filter string
		want   []string
	}{
		{"", []string{"a/tasks/start", "b/tasks/exit", "b/images/create"}},
		{"namespace==b", []string{"b/tasks/exit", "b/images/create"}},
		{`topic~="^/tasks/"`, []string{"a/tasks/start", "b/tasks/exit"}},
		{"topic==/tasks/exit,event.container_id==web", []string{"b/tasks/exit"}},
		{"event.container_id==other", nil},
		{`event.labels."x.y"==1`, []string{"b/images/create"}},
		{"event.name==img", []string{"b/images/create"}},
		{"event.no.such.path", nil},
	} {
		t.Run(tc.filter, func(t *testing.T) {
			var x Exchange
			s, err := x.Subscribe(t.Context(), tc.filter)
			require.NoError(t, err)
			require.NoError(t, x.Publish("a", "/tasks/start", &api.TaskStart{ContainerID: "db", Pid: 3}))
			require.NoError(t, x.Publish("b", "/tasks/exit", &api.TaskExit{ContainerID: "web", ExitStatus: 7}))
			require.NoError(t, x.Publish("b", "/images/create", &api.ImageCreate{Name: "img", Labels: map[string]string{"x.y": "1"}}))
			require.Equal(t, tc.want, drain(s))
		})
	}
}

// TestSlowSubscriber: one that falls behind is cut off and knows it; the others
// and the publisher do not notice.
func TestSlowSubscriber(t *testing.T) {
	var x Exchange
	slow, err := x.Subscribe(t.Context())
	require.NoError(t, err)
	for i := range backlog + 1 {
		require.NoError(t, x.Publish("a", "/tasks/oom", &api.TaskOOM{ContainerID: fmt.Sprint(i)}))
	}
	require.Len(t, drain(slow), backlog)
	_, open := <-slow.C
	require.False(t, open)
	require.True(t, fault.Is(slow.Err(), fault.Exhausted))
	slow.Close() // again is harmless
}

func TestRefused(t *testing.T) {
	var x Exchange
	require.Error(t, x.Publish("", "/tasks/oom", &api.TaskOOM{}))
	require.Error(t, x.Publish("a", "tasks/oom", &api.TaskOOM{}))
	require.Error(t, x.Publish("a", "/", &api.TaskOOM{}))
	require.Error(t, x.Forward(&types.Envelope{Namespace: "a", Topic: "/x"}), "no time")
	_, err := x.Subscribe(t.Context(), "topic==")
	require.True(t, fault.Is(err, fault.InvalidArgument))
}

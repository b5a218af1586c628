package events

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSinceThenLiveWithoutGap(t *testing.T) {
	h := New()
	h.Publish("container", "create", "a", nil)
	past, l := h.Listen(time.Unix(1, 0))
	defer l.Close()
	h.Publish("container", "start", "a", map[string]string{"name": "web"})
	require.Len(t, past, 1)
	require.Equal(t, "create", string(past[0].Action))
	live := <-l.C
	require.Equal(t, "start", string(live.Action))
	require.Greater(t, live.TimeNano, past[0].TimeNano)

	none, quiet := h.Listen(time.Time{})
	quiet.Close()
	require.Empty(t, none)
}

func TestSlowListenerIsDroppedAndOthersGoOn(t *testing.T) {
	h := New()
	_, slow := h.Listen(time.Time{})
	_, fast := h.Listen(time.Time{})
	defer fast.Close()
	for range queueSize + 1 {
		h.Publish("container", "start", "a", nil)
		<-fast.C
	}
	n := 0
	for range slow.C {
		n++
	}
	require.Equal(t, queueSize, n)
	require.Equal(t, 1, h.Listeners())
	slow.Close()
}

func TestRingIsBounded(t *testing.T) {
	h := New()
	for range ringSize + 10 {
		h.Publish("image", "pull", "x", nil)
	}
	past, l := h.Listen(time.Unix(1, 0))
	l.Close()
	require.Len(t, past, ringSize)
}

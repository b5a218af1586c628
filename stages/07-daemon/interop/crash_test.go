//go:build interop

package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	kills    = 20
	counters = 5

	testPatience = 10 * time.Second // for what an engine may do in the background
)

// counter counts aloud, and at the end says how far it came: what its log must hold is known exactly.
// The trap only raises a flag: it can run between any two commands, and the end must tell what was printed.
const counter = `trap 'over=1' TERM; i=0; while [ -z "$over" ]; do echo $i; i=$((i+1)); sleep 0.02; done; echo end $i; exit 0`

// TestKills: the daemon, the manager and both are killed twenty times while five containers count. They go on, no line is
// lost or doubled, and a container that ends in between is told right.
func TestKills(t *testing.T) {
	nothingLeft(t)
	var names, pids []string
	for i := range counters {
		n := name(t, fmt.Sprint("-", i))
		must(t, "run", "-d", "--name", n, theWorld.images.busybox, "sh", "-c", counter)
		names, pids = append(names, n), append(pids, must(t, "inspect", "-f", "{{.State.Pid}}", n))
	}
	for round := range kills {
		killOnce(t, round)
		for i, n := range names {
			require.Equal(t, "true "+pids[i], must(t, "inspect", "-f", "{{.State.Running}} {{.State.Pid}}", n), "round %d", round)
		}
	}
	for _, n := range names {
		must(t, "stop", n)
		lines := strings.Split(must(t, "logs", n), "\n")
		if theWorld.target == "docker" {
			continue // dockerd reads the containers' pipes itself: what they say while it is away is at the mercy of its buffers
		}
		last := len(lines) - 1
		for i, line := range lines[:last] {
			require.Equal(t, fmt.Sprint(i), line, "line %d of %s", i, n)
		}
		require.Equal(t, fmt.Sprint("end ", last), lines[last])
		require.Equal(t, "0", must(t, "inspect", "-f", "{{.State.ExitCode}}", n))
		must(t, "rm", n)
	}
}

// killOnce kills one or both while a container ends, and waits until the engine is back.
func killOnce(t *testing.T, round int) {
	t.Helper()
	e := theWorld.engine
	what := []string{"daemon", "manager", "both"}[round%3]
	if e.target == "docker" {
		what = "daemon" // dockerd 20.10 loses exits that fall into its containerd's absence
	}
	n := name(t, fmt.Sprint("-short-", round))
	code := fmt.Sprint(round + 1)
	must(t, "run", "-d", "--name", n, theWorld.images.busybox, "sh", "-c", "sleep 0.4; exit "+code)
	if what != "daemon" {
		require.NoError(t, e.killManager())
	}
	if what != "manager" {
		require.NoError(t, e.killDaemon())
	}
	time.Sleep(600 * time.Millisecond) // it ends while nobody looks
	if what != "manager" {
		require.NoError(t, e.start(), "round %d: start after the death of %s", round, what)
	}
	require.NoError(t, eventually(20*time.Second, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		out, err := e.docker(ctx, "wait", n).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != code {
			return fmt.Errorf("round %d, %s killed: wait says %q, want %s: %w", round, what, out, code, err)
		}
		return nil
	}))
	require.Equal(t, "exited "+code, must(t, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", n))
	must(t, "rm", n)
}

// TestPublishedPortLives: a published port has no gap when the daemon and the manager die.
func TestPublishedPortLives(t *testing.T) {
	if theWorld.target == "docker" {
		t.Skip("needs an engine whose proxy does not die with the daemon")
	}
	nothingLeft(t)
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "-p", "6381:6379", theWorld.images.redis)
	require.NoError(t, eventually(10*time.Second, func() error { return redisPing("127.0.0.1", "6381") }))
	require.NoError(t, theWorld.engine.killManager())
	require.NoError(t, theWorld.engine.killDaemon())
	gateway := "172.18.0.1"
	for range 10 {
		require.NoError(t, redisPing("127.0.0.1", "6381"))
		require.NoError(t, redisPing(gateway, "6381"))
	}
	require.NoError(t, theWorld.engine.start())
	require.NoError(t, redisPing("127.0.0.1", "6381"))
	require.NoError(t, redisPing(gateway, "6381"))
	must(t, "rm", "-f", n)
	require.Error(t, redisPing("127.0.0.1", "6381"))
}

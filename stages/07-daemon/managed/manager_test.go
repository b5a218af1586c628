package managed

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// aManager is a program that does nothing but live; the test serves its socket.
func aManager(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700))
	c := Config{Program: program, Root: dir + "/root", State: dir + "/state", LogLevel: "info", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	require.NoError(t, os.MkdirAll(c.State, 0o700))
	l, err := net.Listen("unix", c.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return c
}

func (c Config) pid(t *testing.T, other int) int {
	t.Helper()
	pid := 0
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(c.pidFile())
		if err != nil || len(strings.Fields(string(data))) != 2 {
			return false
		}
		pid, err = strconv.Atoi(strings.Fields(string(data))[0])
		return err == nil && pid != other
	}, 5*time.Second, time.Millisecond)
	return pid
}

func TestADeadManagerIsReplacedAndTheLastOneStopped(t *testing.T) {
	c := aManager(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c) }()
	first := c.pid(t, 0)
	require.NoError(t, unix.Kill(first, unix.SIGKILL))
	second := c.pid(t, first)
	cancel()
	require.NoError(t, <-done)
	_, err := startTime(second)
	require.Error(t, err, "it has ended")
}

// A daemon that is killed leaves its manager behind; the next one takes it up.
func TestAdoption(t *testing.T) {
	c := aManager(t)
	left, err := c.start()
	require.NoError(t, err)
	p := c.adopt()
	require.NotNil(t, p)
	require.Equal(t, left.pid, p.pid)
	require.False(t, p.exited(0))
	require.NoError(t, left.child.Process.Kill())
	require.True(t, p.exited(5000))
	require.Nil(t, c.adopt(), "a dead one is not taken, reaped or not")
	require.Error(t, left.child.Wait())
}

// The number in a pid file may belong to a stranger by now: only the start time tells.
func TestAReusedPidIsNotAdopted(t *testing.T) {
	c := aManager(t)
	require.NoError(t, os.WriteFile(c.pidFile(), fmt.Appendf(nil, "%d 1\n", os.Getpid()), 0o600))
	require.Nil(t, c.adopt())
	require.NoError(t, os.WriteFile(c.pidFile(), []byte("nonsense"), 0o600))
	require.Nil(t, c.adopt())
}
